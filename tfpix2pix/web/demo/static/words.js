// What the page calls what it does, by the kind of what people bring.

export const TITLES = {
  labels: "Draw and translate",
  lines: "Draw and translate",
  holes: "Cut out and fill",
  photo: "Translate a photo",
};

export const LEADS = {
  labels: "Paint with classes; the model makes a picture of them.",
  lines: "Draw outlines; the model makes a picture of them.",
  holes: "Bring a photo, cut something out; the model fills the hole.",
  photo: "Bring a photo; the model translates it.",
};
