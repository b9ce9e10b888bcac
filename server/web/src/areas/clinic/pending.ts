// Shapes of answers as the clinic's pages read them.
export interface Returned { code: string; text: string; by: string; by_name: string; at: number; times: number }
export interface CaseMore {
  patient_sex: string | null;
  patient_birth_date: string | null;
  study_date: string | null;
  critical: string;
  returned: Returned | null;
  forecast: { ahead: number; expected_at: number } | null;
}
export interface Finding {
  id: string;
  case: string;
  patient: string;
  code: string;
  text: string;
  stage: string;
  raised_by_name: string;
  raised_at: number;
  due_at: number;
}
