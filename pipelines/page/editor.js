const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["#e5484d", "#3e9bff", "#30a46c", "#ffb224", "#b56cff", "#12b5cb", "#f76b15", "#e93d82"];
const board = element.querySelector(".editor");
let pictures = [], pairs = [], pending = null, chosen = -1, dragged = null, pressed = false;

function make(name, attributes, parent) {
  const node = document.createElementNS(SVG, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  parent.appendChild(node);
  return node;
}

function say(text) {
  const hint = board.querySelector(".hint");
  if (hint) hint.textContent = text;
}

function hint() {
  if (pending) say(`Now click the same place on the ${pending.side ? "left" : "right"} picture.`);
  else if (chosen >= 0) say(`Place ${chosen + 1} is chosen: drag it, move it with the arrow keys, or remove it.`);
  else if (pairs.length) say("Drag a place to move it. Click where nothing is to add one.");
  else say("Optional: click a place on one picture, then the same place on the other, such as an eye.");
}

function tell() {
  trigger("placed", { pairs: pairs });
}

function at(event, svg) {
  return new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
}

function clamp(value, length) {
  return Math.min(length - 1, Math.max(0, Math.round(value * 10) / 10));
}

function marker(svg, side, number, x, y, waiting) {
  const picture = pictures[side];
  const box = svg.getBoundingClientRect();
  const unit = picture.width / (box.width || 320);
  const group = make("g", { class: "place" + (number === chosen ? " chosen" : "") + (waiting ? " waiting" : ""),
    transform: `translate(${x} ${y}) scale(${unit})` }, svg);
  const colour = COLOURS[number % COLOURS.length];
  make("circle", { r: 18, fill: "transparent" }, group);
  make("circle", { r: 8, fill: colour, "fill-opacity": 0.35, stroke: "#000", "stroke-width": 4 }, group);
  make("circle", { r: 8, fill: "none", stroke: waiting ? "#fff" : colour, "stroke-width": 2.5 }, group);
  make("circle", { r: 1.5, fill: "#fff" }, group);
  const label = make("text", { x: 12, y: -8, class: "number" }, group);
  label.textContent = number + 1;
  if (waiting) return;
  group.setAttribute("tabindex", "0");
  group.setAttribute("role", "button");
  group.setAttribute("aria-label", `Place ${number + 1} on ${picture.name}`);
  group.dataset.number = number;
  group.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    event.stopPropagation();
    chosen = number;
    pending = null;
    pressed = true;
    const spot = at(event, svg);
    // it is held where it was taken hold of, and does not jump
    dragged = { number, side, moved: false, dx: pairs[number][2 * side] - spot.x, dy: pairs[number][2 * side + 1] - spot.y };
    draw();
    // what was pressed has been drawn anew, so the picture under it follows the pointer
    sides()[side].setPointerCapture(event.pointerId);
  });
  group.addEventListener("keydown", (event) => {
    const step = picture.width / 100;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) {
      event.preventDefault();
      chosen = number;
      const pair = pairs[number];
      pair[2 * side] = clamp(pair[2 * side] + moves[event.key][0], picture.width);
      pair[2 * side + 1] = clamp(pair[2 * side + 1] + moves[event.key][1], picture.height);
      draw();
      const again = sides()[side].querySelector(`[data-number="${number}"]`);
      if (again) again.focus();
      tell();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      remove(number);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      chosen = number;
      draw();
    }
  });
}

function sides() {
  return [...board.querySelectorAll("svg")];
}

function remove(number) {
  pairs.splice(number, 1);
  chosen = -1;
  draw();
  tell();
}

function draw() {
  sides().forEach((svg, side) => {
    svg.querySelectorAll(".place").forEach((one) => one.remove());
    pairs.forEach((pair, number) => marker(svg, side, number, pair[2 * side], pair[2 * side + 1], false));
    if (pending && pending.side === side) marker(svg, side, pairs.length, pending.x, pending.y, true);
  });
  board.querySelector(".remove").disabled = chosen < 0;
  board.querySelector(".clear").disabled = !pairs.length;
  hint();
}

function build() {
  board.replaceChildren();
  pictures = [];
  const value = props.value;
  if (!value) {
    const empty = document.createElement("p");
    empty.className = "hint";
    empty.textContent = "Bring two pictures first.";
    board.appendChild(empty);
    return;
  }
  pictures = value.pictures;
  pairs = value.pairs.map((pair) => [...pair]);
  pending = null;
  chosen = -1;
  const row = document.createElement("div");
  row.className = "sides";
  board.appendChild(row);
  pictures.forEach((picture, side) => {
    const figure = document.createElement("figure");
    row.appendChild(figure);
    const svg = make("svg", { viewBox: `-0.5 -0.5 ${picture.width} ${picture.height}`, role: "group",
      "aria-label": `Places on ${picture.name}` }, figure);
    make("image", { href: picture.url, x: -0.5, y: -0.5, width: picture.width, height: picture.height,
      preserveAspectRatio: "none" }, svg);
    const caption = document.createElement("figcaption");
    caption.textContent = picture.name;
    figure.appendChild(caption);
    svg.addEventListener("pointerdown", () => { pressed = false; });
    // a click, so that a finger that scrolls over the picture marks nothing
    svg.addEventListener("click", (event) => {
      if (pressed) {
        pressed = false;
        return;
      }
      const spot = at(event, svg);
      const [x, y] = [clamp(spot.x, picture.width), clamp(spot.y, picture.height)];
      chosen = -1;
      if (pending && pending.side !== side) {
        const own = [pending.x, pending.y];
        pairs.push(pending.side ? [x, y, ...own] : [...own, x, y]);
        pending = null;
        draw();
        tell();
        return;
      }
      pending = { side, x, y };
      draw();
    });
    svg.addEventListener("pointermove", (event) => {
      if (!dragged || dragged.side !== side) return;
      const spot = at(event, svg);
      pairs[dragged.number][2 * side] = clamp(spot.x + dragged.dx, picture.width);
      pairs[dragged.number][2 * side + 1] = clamp(spot.y + dragged.dy, picture.height);
      dragged.moved = true;
      draw();
    });
    const drop = () => {
      const moved = dragged && dragged.moved;
      dragged = null;
      if (moved) tell();
    };
    svg.addEventListener("pointerup", drop);
    svg.addEventListener("pointercancel", drop);
  });
  const bar = document.createElement("div");
  bar.className = "bar";
  board.appendChild(bar);
  const text = document.createElement("p");
  text.className = "hint";
  text.setAttribute("role", "status");
  bar.appendChild(text);
  const actions = [["remove", "Remove place", () => remove(chosen)], ["clear", "Remove all", () => {
    pairs = [];
    chosen = -1;
    pending = null;
    draw();
    tell();
  }]];
  for (const [name, label, act] of actions) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = name;
    button.textContent = label;
    button.addEventListener("click", act);
    bar.appendChild(button);
  }
  draw();
}

// markers have a size on the screen, whatever that of the picture
new ResizeObserver(() => { if (pictures.length && !dragged) draw(); }).observe(board);
watch("value", build);
build();
