// The templates and phrases that fit a case.
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';

import { useMe } from '@/app/session';

import { readTemplates, type Template } from '../api';
import { ranked } from './phrases';

const NONE: Template[] = [];

function useKind(kind: Template['kind'], modality: string, bodyPart: string | null): Template[] {
  const me = useMe()?.id ?? '';
  const { data } = useQuery({ queryKey: ['templates', kind], queryFn: () => readTemplates(kind), staleTime: 300_000 });
  return useMemo(() => ranked(data ?? NONE, me, modality, bodyPart), [data, me, modality, bodyPart]);
}

export const useTemplates = (modality: string, bodyPart: string | null) => useKind('template', modality, bodyPart);
export const usePhrases = (modality: string, bodyPart: string | null) => useKind('phrase', modality, bodyPart);
