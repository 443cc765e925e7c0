// Slots as the cluster computes them, and runs of slots. Pure.
//
// The slot of a key is computed here too, so that a key can be found on the map without asking.

export const SLOT_COUNT = 16384;
export const ROW = 128; // slots in a row of the map, and rows

const ESCAPE = /\\(?:x([0-9a-fA-F]{2})|\\)/g;

/** Return the CRC-16/XMODEM of some bytes, as Redis computes it. */
function crc16(bytes) {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) {
      crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    }
    crc &= 0xffff;
  }
  return crc;
}

/** Return the bytes of a key as the page shows it: UTF-8, `\xNN` for other bytes, two backslashes for one. */
export function keyBytes(text) {
  const encoder = new TextEncoder();
  const found = [];
  let from = 0;
  for (const match of text.matchAll(ESCAPE)) {
    const byte = match[1] === undefined ? 0x5c : parseInt(match[1], 16);
    found.push(...encoder.encode(text.slice(from, match.index)), byte);
    from = match.index + match[0].length;
  }
  found.push(...encoder.encode(text.slice(from)));
  return Uint8Array.from(found);
}

/** Return the slot of a key: of its hash tag only, if it has one that is not empty. */
export function keySlot(bytes) {
  const open = bytes.indexOf(0x7b);
  const close = open < 0 ? -1 : bytes.indexOf(0x7d, open + 1);
  const hashed = close > open + 1 ? bytes.subarray(open + 1, close) : bytes;
  return crc16(hashed) % SLOT_COUNT;
}

/** Return the slot meant by what was typed: a slot number, or a key's slot. */
export function slotMeant(text) {
  const isNumber = /^\d{1,5}$/.test(text) && Number(text) < SLOT_COUNT;
  return isNumber ? Number(text) : keySlot(keyBytes(text));
}

/** Return the runs of equal values in an array: `[{first, last, value}]`. */
export function runs(values) {
  const found = [];
  for (let index = 0; index < values.length; index += 1) {
    const last = found.at(-1);
    if (last && last.value === values[index]) last.last = index;
    else found.push({ first: index, last: index, value: values[index] });
  }
  return found;
}

/** Return sorted numbers as text: `1-5, 9`. */
export function rangesText(numbers) {
  const parts = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = parts.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([first, last]) => rangeText(first, last)).join(", ");
}

/** Return one range as text: `5`, `1-5`. */
export function rangeText(first, last) {
  return first === last ? `${first}` : `${first}-${last}`;
}
