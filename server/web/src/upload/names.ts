// Names that the page and its worker share.

/** The database of what is under way. */
export const DATABASE = 'medrelay-upload';
