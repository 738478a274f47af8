/* Everything that reaches the page goes through here as text or as an attribute, never as markup: the names of
 * campaigns and what people wrote are anybody's. */

const SVG = "http://www.w3.org/2000/svg";

export const find = id => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes))
    if (name === "onclick") node.addEventListener("click", value);
    else if (value !== undefined) node.setAttribute(name, value);
  node.append(...children.filter(child => child !== undefined));
  return node;
}

export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/* Texts and attributes that did not change stay untouched: a screen reader or a selection would notice. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/* Shows what belongs to a part of the page, or the words that say why there is nothing. */
export function setEmpty(part, isEmpty) {
  for (const node of document.querySelectorAll(`[data-full=${part}]`)) node.hidden = isEmpty;
  for (const node of document.querySelectorAll(`[data-empty=${part}]`)) node.hidden = !isEmpty;
}

/* Tiles: [{name, value, note, level}], in place. */
export function setTiles(list, tiles) {
  while (list.children.length > tiles.length) list.lastChild.remove();
  tiles.forEach((tile, place) => {
    const box = list.children[place] ??
      list.appendChild(make("div", {}, make("dt"), make("dd")));
    const [name, value] = box.children;
    setText(name, tile.name);
    if (value.dataset.text === tile.value + "\n" + (tile.note ?? "")) return;
    value.dataset.text = tile.value + "\n" + (tile.note ?? "");
    value.replaceChildren(tile.value, ...(tile.note ? [make("small", {}, tile.note)] : []));
    if (tile.level) box.dataset.level = tile.level;
    else delete box.dataset.level;
  });
}

/* A table: `columns` [{title, cell(row), words, sort(row)}]; the first column names its row. A cell is text or a
 * node. The head stays, and with it the focus, while the titles do. */
export function setTable(table, columns, rows) {
  const titles = columns.map(column => column.title).join("\n");
  if (table.tHead?.dataset.titles !== titles) {
    table.tHead?.remove();
    table.caption.after(head(table, columns, titles));
  }
  orders.set(table, { ...orders.get(table), columns, rows });
  showRows(table);
}

const orders = new Map(); /* by table: what it shows, and by which title it is sorted */

function showRows(table) {
  const { columns, rows, by, down } = orders.get(table);
  const value = columns.find(column => column.title === by)?.sort;
  const sorted = value ? [...rows].sort((a, b) => down * compare(value(b), value(a))) : rows;
  const body = make("tbody", {}, ...sorted.map(row => make("tr", {}, ...columns.map(
    (column, place) => place ? make("td", { class: column.words ? "words" : undefined }, column.cell(row))
                             : make("th", { scope: "row" }, column.cell(row))))));
  if (table.tBodies[0]) table.tBodies[0].replaceWith(body);
  else table.append(body);
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

function head(table, columns, titles) {
  const cells = columns.map(column => {
    const cell = make("th", { scope: "col", class: column.words ? "words" : undefined });
    cell.append(column.sort ? make("button", { type: "button", onclick: () => sortBy(table, column.title) },
                                   column.title) : column.title);
    return cell;
  });
  const made = make("thead", {}, make("tr", {}, ...cells));
  made.dataset.titles = titles;
  return made;
}

function sortBy(table, title) {
  const order = orders.get(table);
  const down = order.by === title ? -order.down : 1;
  orders.set(table, { ...order, by: title, down });
  for (const cell of table.tHead.rows[0].cells)
    if (cell.textContent === title) cell.setAttribute("aria-sort", down > 0 ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  showRows(table);
}

/* A share as a bar with its words in front of it. */
export function bar(words, figure, share) {
  const fillPart = make("i");
  fillPart.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return make("div", { class: "bar" }, fillPart, make("span", {}, words), make("span", {}, figure));
}
