'use strict';
// The status page: asks the gateway every two seconds and shows what it says. Text from outside only ever becomes text.
const words = {
  zh: {
    waiting: '等待', sending: '正在发送', done_today: '今日已送达', studies: '检查', no_studies: '还没有检查。在设备上发送，或把文件夹拖给 medrelay-gateway send。',
    items: '上级医院的回复', no_items: '还没有报告返回。', modality: '在设备上填写', review: '需要您确认', review_help: '这些检查看起来不对，确认之前不会发送。',
    send: '仍然发送', leave: '不发送', ae_title: 'AE 标题', port: '端口', addresses: 'IP 地址', other: 'English', pdf: '打开 PDF',
    up: '已连接', quic: 'QUIC', websocket: 'HTTPS（较慢）', down: '未连接，正在重试', stopped: '已停用：请联系上级医院', gone: '网关没有运行',
    gathering: '接收中', held: '待确认', waiting_state: '排队中', moving: '发送中', refused: '未被接受', committed: '已送达', stat: '急', urgent: '加急', of: '/',
    images: '幅', safe: '全部已安全送达，可以关机', report: '诊断报告', return_request: '退回：请处理', notice: '通知', fresh: '新', aside: '幅被上级医院另存，需核对', times: '次', noted: '知道了', problem: '最近的问题',
    POSITIONING: '体位不正，请重照', MOTION: '运动伪影，请重照', EXPOSURE: '曝光不当，请重照', ARTIFACT: '有伪影，请重照', SEQUENCE: '序列不全，请补扫', CONTRAST_PHASE: '增强期相不对', LEAD_REVERSAL: '导联接反，请重做', BASELINE: '基线不稳，请重做', NOISE: '干扰过大，请重做', NO_CALIBRATION: '没有定标',
    MISSING_HISTORY: '请补充病史', MISSING_IMAGES: '图像不全，请补传', WRONG_PATIENT: '患者不符，请核对', WRONG_SITE: '部位不符，请核对', DUPLICATE: '重复的检查', OUT_OF_SCOPE: '不在诊断范围内',
    other_patient: '同一检查里出现两位患者', other_content: '同一图像编号对应不同内容', no_pixels: '图像没有像素', short_pixels: '图像像素不全', blank_pixels: '图像全部为同一灰度（空白）',
    spool_full: '本机存储已满，设备暂时不能发送', unreadable: '有文件无法读取', disk: '磁盘出错', watch: '监视的文件夹无法读取',
    aside_other_content: '上级医院已有同编号但内容不同的图像', aside_other_owner: '该图像属于其他机构', aside_other_patient: '上级医院的同一检查属于另一位患者',
    relay_out_of_space: '上级医院存储已满，正在自动重试；图像在本机，不会丢失', relay_busy: '上级医院正忙', pack_damaged: '传输中损坏，将重发', changed_on_disk: '本机文件在发送前被改动', too_large: '图像过大', bad_manifest: '清单有误', bad_signature: '签名有误', other_clinic: '清单属于其他机构', not_announced: '协议错误',
    link: '线路问题', certificate: '证书即将到期', revoked: '本网关已被上级医院停用', resolve: '无法解析上级医院的地址',
  },
  en: {
    waiting: 'waiting', sending: 'sending', done_today: 'done today', studies: 'Studies', no_studies: 'No studies yet. Send from the modality, or with medrelay-gateway send FOLDER.',
    items: 'From the lead hospital', no_items: 'No report has come back yet.', modality: 'Type into the modality', review: 'Please decide', review_help: 'Something looks wrong with these studies. They are not sent before you decide.',
    send: 'send anyway', leave: 'do not send', ae_title: 'AE title', port: 'port', addresses: 'IP address', other: '中文', pdf: 'open PDF',
    up: 'connected', quic: 'QUIC', websocket: 'HTTPS (slower)', down: 'not connected, trying again', stopped: 'switched off: please call the lead hospital', gone: 'the gateway is not running',
    gathering: 'coming in', held: 'please decide', waiting_state: 'in the queue', moving: 'sending', refused: 'not accepted', committed: 'delivered', stat: 'STAT', urgent: 'urgent', of: 'of',
    images: 'images', safe: 'everything is delivered and safe: you may switch off', report: 'report', return_request: 'returned: please act', notice: 'notice', fresh: 'new', aside: 'put aside at the lead hospital: please check with them', times: 'times', noted: 'noted', problem: 'Last problem',
    POSITIONING: 'positioning: please take it again', MOTION: 'motion: please take it again', EXPOSURE: 'exposure: please take it again', ARTIFACT: 'artifact: please take it again', SEQUENCE: 'a sequence is missing', CONTRAST_PHASE: 'wrong contrast phase', LEAD_REVERSAL: 'leads reversed: please record again', BASELINE: 'unsteady baseline: please record again', NOISE: 'too noisy: please record again', NO_CALIBRATION: 'no calibration',
    MISSING_HISTORY: 'please add the history', MISSING_IMAGES: 'images are missing: please send them', WRONG_PATIENT: 'wrong patient: please check', WRONG_SITE: 'wrong body part: please check', DUPLICATE: 'sent twice', OUT_OF_SCOPE: 'not for this hospital',
    other_patient: 'two patients in one study', other_content: 'one image number with two contents', no_pixels: 'an image without pixels', short_pixels: 'an image with too few pixels', blank_pixels: 'an image of one single shade',
    spool_full: 'this machine is full: modalities have to wait', unreadable: 'a file cannot be read', disk: 'the disk failed', watch: 'a watched folder cannot be read',
    aside_other_content: 'the lead hospital has another image of this number', aside_other_owner: 'the image belongs to another clinic', aside_other_patient: 'the study is another patient’s at the lead hospital',
    relay_out_of_space: 'the lead hospital’s disk is full: tried again by itself; the images are safe here', relay_busy: 'the lead hospital is busy', pack_damaged: 'damaged on the way, sent again', changed_on_disk: 'a file was changed here before it was sent', too_large: 'an image is too large', bad_manifest: 'the list is wrong', bad_signature: 'the signature is wrong', other_clinic: 'the list is another clinic’s', not_announced: 'protocol error',
    link: 'trouble on the line', certificate: 'the certificate ends soon', revoked: 'this gateway was switched off by the lead hospital', resolve: 'the lead hospital’s address cannot be found',
  },
};
let language = localStorage.getItem('language');
let last = null;
const at = (id) => document.getElementById(id);
const word = (key) => words[language]?.[key] ?? key;
function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}
const clock = (micros) => new Date(micros / 1000).toLocaleString(language === 'zh' ? 'zh-CN' : 'en-GB', { dateStyle: 'short', timeStyle: 'short' });
async function post(path) {
  await fetch(path, { method: 'POST', headers: { 'X-Medrelay': '1' } });
  await ask();
}
function button(label, act) {
  const made = element('button', '', word(label));
  made.type = 'button';
  made.addEventListener('click', act);
  return made;
}
function studyLine(study) {
  const line = element('li');
  line.append(element('span', 'name', `${study.patient}  ${study.modality}  ${study.description}`));
  if (study.urgency < 2) line.append(element('span', `tag ${study.urgency ? 'urgent' : 'stat'}`, word(study.urgency ? 'urgent' : 'stat')));
  if (study.state === 'waiting' && study.stored) {
    const bar = element('progress');
    bar.max = study.objects; bar.value = study.stored;
    bar.setAttribute('aria-label', word('moving'));
    line.append(bar);
  }
  const state = study.state === 'waiting' ? (study.stored || study.moving ? 'moving' : 'waiting_state') : study.state;
  line.append(element('span', `state ${study.state}`, word(state)), element('small', '', `${study.stored} ${word('of')} ${study.objects} ${word('images')}`));
  if (study.aside) line.append(element('small', '', `${study.aside} ${word('aside')}`));
  return line;
}
function itemLine(item) {
  const line = element('li');
  const patient = (last?.studies ?? []).find((study) => study.uid === item.study_uid)?.patient;
  const number = item.text.startsWith(item.case_number) ? '' : item.case_number;
  const reason = item.kind === 'return_request' && item.code ? word(item.code) : '';
  const said = [word(item.kind), patient, number, reason, item.text].filter(Boolean);
  line.append(element('span', 'name', said.join('  ')), element('small', '', clock(item.at)));
  if (!item.seen) line.append(element('span', 'tag urgent', word('fresh')));
  if (!item.seen && !item.media_type) line.append(button('noted', () => post(`/items/${encodeURIComponent(item.id)}/seen`)));
  if (item.media_type) {
    const link = element('a', '', word('pdf'));
    link.href = `/items/${encodeURIComponent(item.id)}`; link.target = '_blank'; link.rel = 'noreferrer';
    line.append(link);
  }
  return line;
}
function flaggedLine(flagged) {
  const line = element('li');
  line.append(element('span', 'name', `${flagged.patient}: ${flagged.flags.map(word).join('; ')}`));
  line.append(button('send', () => post(`/studies/${flagged.study}/send`)), button('leave', () => post(`/studies/${flagged.study}/leave-out`)));
  return line;
}
function fill(id, lines, empty) {
  at(id).replaceChildren(...lines);
  if (empty) at(empty).hidden = lines.length > 0;
}
function show(status) {
  language ??= status.language;
  document.documentElement.lang = language;
  for (const place of document.querySelectorAll('[data-word]')) place.textContent = word(place.dataset.word);
  at('language').textContent = word('other');
  at('clinic').textContent = status.clinic || 'medrelay';
  at('waiting').textContent = status.numbers.waiting; at('sending').textContent = status.sending; at('done').textContent = status.numbers.done_today;
  const link = status.link;
  at('link').className = link.state === 'up' ? 'up' : 'down';
  at('link').textContent = link.state === 'up' ? `${word('up')} · ${word(link.carrier)}` : word(link.state);
  const problem = status.problem;
  at('problem').hidden = !problem;
  if (problem) {
    const times = problem.times > 1 ? `  ${problem.times} ${word('times')}` : '';
    const what = [word(problem.code), problem.detail].filter(Boolean).join(language === 'zh' ? '：' : ': ');
    at('problem').replaceChildren(element('h2', '', word('problem')), element('span', '', `${what}  `), element('small', '', `${clock(problem.at)}${times}`));
  }
  at('safe').hidden = link.state === 'stopped' || status.numbers.waiting > 0 || status.numbers.held > 0 || !status.numbers.done_today;
  at('review').hidden = !status.review.length;
  fill('flagged', status.review.map(flaggedLine));
  fill('studies', status.studies.map(studyLine), 'no-studies');
  fill('items', status.items.map(itemLine), 'no-items');
  at('modality').replaceChildren(...[['ae_title', status.ae_title], ['addresses', status.addresses.join(', ')], ['port', status.port]].flatMap(([key, value]) => [element('dt', '', word(key)), element('dd', '', value)]));
}
async function ask() {
  try {
    const answer = await fetch('/status.json', { cache: 'no-store' });
    last = await answer.json();
    show(last);
  } catch {
    language ??= 'zh';
    at('link').className = 'down';
    at('link').textContent = word('gone');
  }
}
at('language').addEventListener('click', () => {
  language = language === 'zh' ? 'en' : 'zh';
  localStorage.setItem('language', language);
  if (last) show(last);
});
ask();
setInterval(ask, 2000);
