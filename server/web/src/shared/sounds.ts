// Short sounds made by the browser itself. Which of them are heard is everybody's choice.
export type Sound = 'new' | 'stat' | 'critical' | 'done';

interface Note {
  pitch: number;
  at: number;
  length: number;
}

const TUNES: Record<Sound, Note[]> = {
  new: [{ pitch: 660, at: 0, length: 0.12 }],
  stat: [
    { pitch: 784, at: 0, length: 0.12 },
    { pitch: 988, at: 0.16, length: 0.18 },
  ],
  critical: [
    { pitch: 880, at: 0, length: 0.2 },
    { pitch: 660, at: 0.26, length: 0.2 },
    { pitch: 880, at: 0.52, length: 0.3 },
  ],
  done: [{ pitch: 523, at: 0, length: 0.08 }],
};

let context: AudioContext | null = null;

/** Plays a sound, `volume` from 0 to 1. Browsers stay silent until something was clicked: then nothing is heard, and nothing fails. */
export async function play(sound: Sound, volume = 0.5): Promise<void> {
  context ??= new AudioContext();
  if (context.state === 'suspended') await context.resume().catch(() => undefined);
  if (context.state !== 'running') return;
  const start = context.currentTime + 0.02;
  for (const note of TUNES[sound]) {
    const tone = context.createOscillator();
    const loud = context.createGain();
    tone.type = 'sine';
    tone.frequency.value = note.pitch;
    const from = start + note.at;
    loud.gain.setValueAtTime(0, from);
    loud.gain.linearRampToValueAtTime(0.4 * volume, from + 0.015);
    loud.gain.exponentialRampToValueAtTime(0.001, from + note.length);
    tone.connect(loud).connect(context.destination);
    tone.start(from);
    tone.stop(from + note.length + 0.02);
  }
}
