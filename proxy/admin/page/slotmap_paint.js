// Paint the slot map: 128 rows of 128 cells on a canvas.
//
// Strategy: cells are whole device pixels, so that they are sharp on every screen. Cost: 16,384
// rectangles, about 3 ms, only when something has changed.

import { ROW, SLOT_COUNT } from "./slots.js";

const COLOURS = 8; // --shard-1 .. --shard-8 in theme.css
const SHADES = ["", "pale", "deep"];
const SHADE_KEEPS = 0.42; // of the colour itself; as .swatch in parts.css
const GAP_FROM = 3; // cells of so many device pixels are set off from each other
const GAP = 0.3; // how much of the paper shows between them; more would make the colours pale

/** Return the RGB of a colour of the page (`--shard-1`) in the theme that is shown: `[r, g, b]`. */
function colourOf(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const text = getComputedStyle(probe).color;
  probe.remove();
  return text.match(/[\d.]+/g).slice(0, 3).map(Number);
}

/** Return a shard's colour: `{name, shade}`. From the ninth on they come again, pale, then deep. */
export function shardColour(number) {
  const round = Math.floor((number - 1) / COLOURS);
  return { name: `--shard-${((number - 1) % COLOURS) + 1}`, shade: SHADES[round % SHADES.length] };
}

export class SlotPainter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.cell = 4;
  }

  /** Take as much of `width` (CSS pixels) as whole cells fill; return the size of a cell in CSS pixels. */
  fit(width) {
    const ratio = window.devicePixelRatio || 1;
    this.cell = Math.max(1, Math.floor((width * ratio) / ROW));
    const side = this.cell * ROW;
    if (this.canvas.width !== side) {
      this.canvas.width = side;
      this.canvas.height = side;
    }
    this.canvas.style.width = `${side / ratio}px`;
    this.canvas.style.height = `${side / ratio}px`;
    return this.cell / ratio;
  }

  /** Paint everything. `recent` is a set of slots that have moved a moment ago. */
  paint(model, recent) {
    const { context, cell } = this;
    const paper = colourOf("--card");
    const inkColour = colourOf("--ink");
    const ink = css(inkColour);
    const fills = model.shards.map((shard) => fillOf(shard.number, paper, inkColour));
    const fillFor = new Map(model.shards.map((shard, index) => [shard.number, fills[index]]));
    const empty = css(colourOf("--bad"));
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (let slot = 0; slot < SLOT_COUNT; slot += 1) {
      const x = (slot % ROW) * cell;
      const y = Math.floor(slot / ROW) * cell;
      const owner = model.owner[slot];
      if (owner < 0) {
        context.fillStyle = empty;
        context.fillRect(x, y + Math.floor(cell / 2), cell, 1);
        continue;
      }
      context.fillStyle = fills[owner];
      context.fillRect(x, y, cell, cell);
    }
    if (cell >= GAP_FROM) this.#gaps(css(paper));
    context.fillStyle = ink;
    for (const slot of recent) this.#dot(slot);
    for (const [slot, move] of model.moving) {
      this.#moving(slot, fillFor.get(model.numberOf.get(move.target)) ?? ink, ink);
    }
    this.#numbers(model, css(paper), ink);
  }

  // Half in the colour it comes from, half in the one it goes to, in a frame of ink that leaves
  // the cell: a slot on the move must be seen among thousands.
  #moving(slot, target, ink) {
    const { context, cell } = this;
    const x = (slot % ROW) * cell;
    const y = Math.floor(slot / ROW) * cell;
    context.fillStyle = target;
    context.beginPath();
    context.moveTo(x + cell, y);
    context.lineTo(x + cell, y + cell);
    context.lineTo(x, y + cell);
    context.fill();
    context.strokeStyle = ink;
    context.lineWidth = Math.max(1, Math.round(cell / 4));
    context.strokeRect(x - 0.5, y - 0.5, cell, cell);
  }

  #dot(slot) {
    const { context, cell } = this;
    const dot = Math.max(1, Math.round(cell / 2));
    const edge = Math.floor((cell - dot) / 2);
    context.fillRect((slot % ROW) * cell + edge, Math.floor(slot / ROW) * cell + edge, dot, dot);
  }

  #gaps(paper) {
    const { context, cell } = this;
    const side = cell * ROW;
    context.globalAlpha = GAP;
    context.fillStyle = paper;
    for (let line = 1; line < ROW; line += 1) {
      context.fillRect(line * cell - 1, 0, 1, side);
      context.fillRect(0, line * cell - 1, side, 1);
    }
    context.globalAlpha = 1;
  }

  // Colours are never the only thing that tells shards apart.
  #numbers(model, paper, ink) {
    const { context, cell } = this;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const shard of model.shards) {
      const widest = shard.ranges.reduce((best, one) => (one[1] - one[0] > best[1] - best[0] ? one : best));
      const rows = (widest[1] - widest[0]) / ROW;
      if (rows < 5) continue;
      const [radius, text] = rows < 9 ? [2.2, 3.2] : [4, 4.6]; // in cells
      context.font = `600 ${Math.round(cell * text)}px system-ui, sans-serif`;
      const row = Math.round((widest[0] + widest[1]) / 2 / ROW);
      const x = (ROW / 2) * cell;
      const y = row * cell;
      context.fillStyle = paper;
      context.beginPath();
      context.arc(x, y, radius * cell, 0, 2 * Math.PI);
      context.fill();
      context.fillStyle = ink;
      context.fillText(String(shard.number), x, y + cell * 0.3);
    }
  }
}

function fillOf(number, paper, ink) {
  const { name, shade } = shardColour(number);
  const base = colourOf(name);
  const other = { pale: paper, deep: ink }[shade] ?? base;
  return css(base.map((part, index) => part * SHADE_KEEPS + other[index] * (1 - SHADE_KEEPS)));
}

function css(rgb) {
  return `rgb(${rgb.map(Math.round).join(" ")})`;
}
