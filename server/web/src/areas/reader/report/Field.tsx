// One section of the report: a native text area, so that every input method works as it does elsewhere, with phrases behind `#`.
import { forwardRef, useId, useImperativeHandle, useRef, useState, type KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';

import type { Template } from '../api';
import { exactPhrase, expansion, phraseText, suggestions, typedShortcut, type Section } from './phrases';

interface Props {
  section: Section;
  size: 'large' | 'middle' | 'small';
  text: string;
  readOnly: boolean;
  phrases: readonly Template[];
  onText: (text: string) => void;
}

export interface FieldHandle {
  focus: () => void;
}

/** Puts words in the place of others as if they had been typed, so that undoing works. */
function type(area: HTMLTextAreaElement, from: number, to: number, words: string): void {
  area.focus();
  area.setSelectionRange(from, to);
  if (document.execCommand('insertText', false, words)) return;
  area.setRangeText(words, from, to, 'end');
  area.dispatchEvent(new Event('input', { bubbles: true }));
}

export const Field = forwardRef<FieldHandle, Props>(function Field({ section, size, text, readOnly, phrases, onText }, handle) {
  const { t } = useTranslation('reader');
  const name = useId();
  const area = useRef<HTMLTextAreaElement>(null);
  const composing = useRef(false);
  const [offers, setOffers] = useState<Template[]>([]);
  const [chosen, setChosen] = useState(0);
  useImperativeHandle(handle, () => ({ focus: () => area.current?.focus() }), []);

  function look() {
    const field = area.current;
    if (!field || composing.current || readOnly) return setOffers([]);
    const typed = field.selectionStart === field.selectionEnd ? typedShortcut(field.value, field.selectionStart) : null;
    setChosen(0);
    setOffers(typed === null ? [] : suggestions(phrases, typed));
  }

  function put(phrase: Template) {
    const field = area.current;
    const place = field && expansion(field.value, field.selectionStart, phrase, section);
    setOffers([]);
    if (field && place) type(field, place.from, place.to, place.text);
  }

  function pressed(event: KeyboardEvent<HTMLTextAreaElement>) {
    // While an input method composes, every key is its own.
    if (event.nativeEvent.isComposing || composing.current || event.keyCode === 229 || readOnly) return;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const field = event.currentTarget;
    const { key } = event;
    if (offers.length > 0 && (key === 'ArrowDown' || key === 'ArrowUp')) {
      event.preventDefault();
      return setChosen((chosen + (key === 'ArrowDown' ? 1 : offers.length - 1)) % offers.length);
    }
    if (offers.length > 0 && key === 'Escape') {
      event.preventDefault();
      return setOffers([]);
    }
    if (key !== 'Tab' && key !== 'Enter' && key !== ' ') return;
    if (event.shiftKey || field.selectionStart !== field.selectionEnd) return;
    // A space takes only what was typed in full; Tab and Enter take what is chosen.
    const phrase = key === ' ' ? exactPhrase(phrases, field.value, field.selectionStart) : offers[chosen];
    if (!phrase) return;
    event.preventDefault();
    put(phrase);
  }

  return (
    <div className={`report-field ${size}`}>
      <label htmlFor={name}>{t(`reader:section.${section}`)}</label>
      <textarea
        ref={area}
        id={name}
        value={text}
        readOnly={readOnly}
        spellCheck={false}
        maxLength={20_000}
        aria-autocomplete="list"
        aria-controls={offers.length > 0 ? `${name}-offers` : undefined}
        aria-activedescendant={offers.length > 0 ? `${name}-${chosen}` : undefined}
        onChange={(event) => onText(event.target.value)}
        onInput={look}
        onKeyDown={pressed}
        onClick={look}
        onBlur={() => setOffers([])}
        onCompositionStart={() => {
          composing.current = true;
          setOffers([]);
        }}
        onCompositionEnd={() => {
          composing.current = false;
          look();
        }}
      />
      {offers.length > 0 && (
        <ul className="report-offers" role="listbox" id={`${name}-offers`} aria-label={t('reader:phrase.offers')}>
          {offers.map((phrase, index) => (
            <li
              key={phrase.id}
              id={`${name}-${index}`}
              role="option"
              aria-selected={index === chosen}
              onMouseDown={(event) => {
                event.preventDefault();
                put(phrase);
              }}
            >
              <b>#{phrase.shortcut}</b> {phraseText(phrase, section)}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
});
