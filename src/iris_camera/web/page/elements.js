// Writing into existing elements. Data becomes text, never markup; unchanged elements are not touched, so that nothing
// flickers, no selection is lost and a screen reader reads nothing twice.

/** The element within `place` that shows the field of that name. */
export function field(name, within = document) {
  return within.querySelector(`[data-field="${name}"]`);
}

/** Write a text into an element; an empty paragraph is hidden. */
export function tell(element, words) {
  if (element.textContent !== words) {
    element.textContent = words;
  }
  if (element.hidden !== (words === "") && element.matches("p")) {
    element.hidden = words === "";
  }
}

/** A figure; one with many digits is written smaller, to stay in its tile. */
export function figure(name, words, within = document) {
  const element = field(name, within);
  tell(element, words);
  element.style.setProperty("--digits", words.length);
}

/** Give an element the colour of its state, and the shape in it the matching form. */
export function look(element, name) {
  if (element.dataset.look === name) {
    return;
  }
  element.dataset.look = name;
  const shape = element.querySelector(".shape use");
  if (shape) {
    shape.setAttribute("href", `#shape-${name}`);
  }
}

/** A new copy of the template's content. */
export function made(templateId) {
  return document.getElementById(templateId).content.firstElementChild.cloneNode(true);
}

/** The element of each name in that order, made from the template when it is new; those no longer named are removed. */
export function keep(elements, names, place, templateId, { arrive = () => {}, leave = () => {} } = {}) {
  for (const [name, element] of elements) {
    if (!names.includes(name)) {
      leave(element);
      element.remove();
      elements.delete(name);
    }
  }
  names.forEach((name, position) => {
    if (!elements.has(name)) {
      const element = made(templateId);
      element.dataset.name = name;
      elements.set(name, element);
      place.insertBefore(element, place.children[position] ?? null);
      arrive(element, name);
    } else if (place.children[position] !== elements.get(name)) {
      place.insertBefore(elements.get(name), place.children[position]);
    }
  });
}
