// What a canvas of the viewer shows, as numbers: whether there is a picture at all, and which image it is.

/** The middle of the first pane as 48 × 48 greys, from 0 to 255; `null` while there is no canvas. */
export function shown(at, pane = 0) {
  return at.evaluate((which) => {
    const canvas = document.querySelectorAll('.mrv-image canvas')[which];
    if (!canvas || canvas.width < 50) return null;
    const side = Math.min(canvas.width, canvas.height);
    const copy = document.createElement('canvas');
    copy.width = 48;
    copy.height = 48;
    const flat = copy.getContext('2d', { willReadFrequently: true });
    flat.drawImage(canvas, (canvas.width - side) / 2, (canvas.height - side) / 2, side, side, 0, 0, 48, 48);
    const bytes = flat.getImageData(0, 0, 48, 48).data;
    return Array.from({ length: 48 * 48 }, (_, place) => bytes[place * 4]);
  }, pane);
}

/** How many greys there are: a black or empty pane has one. */
export function greys(picture) {
  return picture === null ? 0 : new Set(picture.map((grey) => grey >> 2)).size;
}

/** Every image of a study as the relay draws it, in the order of the slices, as 48 × 48 greys. */
export function drawn(at, study, window) {
  return at.evaluate(
    async ({ uid, wanted }) => {
      const headers = { accept: 'application/dicom+json' };
      const objects = await (await fetch(`/dicomweb/studies/${uid}/metadata`, { headers })).json();
      const first = (object, tag) => object[tag]?.Value?.[0];
      const order = objects
        .filter((object) => object['00280010'])
        .sort((a, b) => (first(a, '00201041') ?? first(a, '00200013')) - (first(b, '00201041') ?? first(b, '00200013')));
      const pictures = [];
      for (const object of order) {
        const path = `/dicomweb/studies/${uid}/series/${first(object, '0020000E')}/instances/${first(object, '00080018')}`;
        const answer = await fetch(`${path}/rendered?window=${wanted}`, { headers: { accept: 'image/png' } });
        if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
        const image = await createImageBitmap(await answer.blob());
        const copy = new OffscreenCanvas(48, 48);
        const flat = copy.getContext('2d', { willReadFrequently: true });
        flat.drawImage(image, 0, 0, 48, 48);
        const bytes = flat.getImageData(0, 0, 48, 48).data;
        pictures.push(Array.from({ length: 48 * 48 }, (_, place) => bytes[place * 4]));
      }
      return pictures;
    },
    { uid: study, wanted: window },
  );
}

/** How alike two pictures are, from -1 to 1 (Pearson's correlation). Text in the corners counts little. */
export function alike(a, b) {
  const mean = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [both, ofA, ofB] = [0, 0, 0];
  for (let place = 0; place < a.length; place += 1) {
    const [x, y] = [a[place] - meanA, b[place] - meanB];
    both += x * y;
    ofA += x * x;
    ofB += y * y;
  }
  return both / Math.sqrt(ofA * ofB || 1);
}

/** Which of the relay's pictures is on the screen, and how alike they are. */
export function which(picture, pictures) {
  const scores = pictures.map((one) => alike(picture, one));
  const score = Math.max(...scores);
  return { index: scores.indexOf(score), score };
}
