// The codes that both sides use: why a case is returned, and what is a critical finding. Words: `shared:return.*`, `shared:finding.*`.
export const RETURN_CODES = [
  'MISSING_HISTORY',
  'MISSING_IMAGES',
  'WRONG_PATIENT',
  'WRONG_SITE',
  'POSITIONING',
  'MOTION',
  'EXPOSURE',
  'ARTIFACT',
  'SEQUENCE',
  'CONTRAST_PHASE',
  'LEAD_REVERSAL',
  'BASELINE',
  'NOISE',
  'NO_CALIBRATION',
  'DUPLICATE',
  'OUT_OF_SCOPE',
] as const;

/** Those that mean that the images must be made again. */
export const RETAKE: ReadonlySet<string> = new Set(['WRONG_SITE', 'POSITIONING', 'MOTION', 'EXPOSURE', 'ARTIFACT', 'SEQUENCE', 'CONTRAST_PHASE', 'LEAD_REVERSAL', 'BASELINE', 'NOISE', 'NO_CALIBRATION']);

const LEADS: ReadonlySet<string> = new Set(['LEAD_REVERSAL', 'BASELINE', 'NOISE', 'NO_CALIBRATION']);

/** The codes that make sense for a modality: those of leads only for electrocardiograms. */
export function returnCodesFor(modality: string): string[] {
  const ecg = modality === 'ECG';
  const pictures = new Set(['POSITIONING', 'MOTION', 'EXPOSURE', 'SEQUENCE', 'CONTRAST_PHASE']);
  return RETURN_CODES.filter((code) => (ecg ? !pictures.has(code) : !LEADS.has(code)));
}

export const FINDING_CODES = [
  'INTRACRANIAL_HAEMORRHAGE',
  'BRAIN_HERNIATION',
  'SUBARACHNOID_HAEMORRHAGE',
  'LARGE_CEREBRAL_INFARCT',
  'BRAINSTEM_INFARCT',
  'SPINAL_CORD_COMPRESSION',
  'TENSION_PNEUMOTHORAX',
  'PULMONARY_EMBOLISM',
  'AIRWAY_FOREIGN_BODY',
  'AORTIC_DISSECTION',
  'PERICARDIAL_EFFUSION',
  'FREE_GAS',
  'ORGAN_RUPTURE',
  'MESENTERIC_ISCHAEMIA',
  'SPINE_BURST_FRACTURE',
  'MULTIPLE_FRACTURES',
  'ECTOPIC_RUPTURE',
  'ACUTE_MYOCARDIAL_INFARCTION',
  'VENTRICULAR_TACHYCARDIA',
  'TORSADES_DE_POINTES',
  'VENTRICULAR_FIBRILLATION',
  'RAPID_SUPRAVENTRICULAR_TACHYCARDIA',
  'RAPID_ATRIAL_FIBRILLATION',
  'PREEXCITED_ATRIAL_FIBRILLATION',
  'LONG_QT_R_ON_T',
  'COMPLETE_AV_BLOCK',
  'SEVERE_BRADYCARDIA',
  'LONG_PAUSE',
  'OTHER',
] as const;

const FIRST_OF_HEART = FINDING_CODES.indexOf('ACUTE_MYOCARDIAL_INFARCTION');

/** The codes for a modality: those of the electrocardiogram first for it, last for everything else. */
export function findingCodesFor(modality: string): string[] {
  const pictures = FINDING_CODES.slice(0, FIRST_OF_HEART);
  const heart = FINDING_CODES.slice(FIRST_OF_HEART, -1);
  return modality === 'ECG' ? [...heart, ...pictures, 'OTHER'] : [...pictures, ...heart, 'OTHER'];
}
