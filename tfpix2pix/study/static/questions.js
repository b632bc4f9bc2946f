// The exit questions, each of which may be left out.

import { post } from "./requests.js";

const LONGEST_ANSWER = 2000;

function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function makeQuestion({ text, choices }, name) {
  if (choices.length === 0) {
    return make("label", { className: "asked" }, text, make("textarea", { name, rows: 3, maxLength: LONGEST_ANSWER }));
  }
  const answers = choices.map((value) =>
    make("label", { className: "agree" }, make("input", { type: "radio", name, value }), make("span", {}, value)),
  );
  return make("fieldset", { className: "asked" }, make("legend", {}, text), ...answers);
}

// Asks the questions in the form; returns the server's reply to the answers.
export async function askQuestions(questions) {
  const form = document.getElementById("questions");
  form.append(...questions.map((question, place) => makeQuestion(question, `${place}`)));
  await new Promise((resolve) => {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      resolve();
    });
  });
  document.getElementById("send").disabled = true;
  const given = new FormData(form);
  const answers = questions.map((_, place) => (given.get(`${place}`) ?? "").trim());
  return post("/api/exit", { answers });
}
