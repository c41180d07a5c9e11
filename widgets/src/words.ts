// Numbers as the reader sees them. Python (`quire.views.words`) prints the same words;
// both are held to the cases in tests/views/words.json.

const NONE = "–";
const MINUS = "−";

/** `$0.0320` below a dollar, `$12.40` above; `unpriced` when money was spent but nobody knows how much. */
export function money(usd: number | null, simulated = false): string {
  if (simulated) return "$0 simulated";
  if (usd === null) return "unpriced";
  if (usd === 0) return "$0";
  if (usd < 0.0001) return "<$0.0001";
  return `$${usd < 0.99995 ? fixed(usd, 4) : grouped(fixed(usd, 2))}`;
}

/** What calls cost: `–` when there were none, so that nothing looks like something unpriced. */
export function cost(usd: number | null, calls: number, simulated = false): string {
  return calls === 0 && !usd ? NONE : money(usd, simulated);
}

/** `49,314` below 100,000, then `412 k` and `1.24 M`. */
export function tokens(count: number | null): string {
  if (count === null) return NONE;
  if (count < 100_000) return grouped(String(count));
  if (count < 999_500) return `${fixed(count / 1e3, 0)} k`;
  return `${grouped(fixed(count / 1e6, 2))} M`;
}

/** How large a file is: `812 B`, `35 kB`, `1.2 MB`. */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 999_500) return `${fixed(bytes / 1e3, 0)} kB`;
  return `${grouped(fixed(bytes / 1e6, 1))} MB`;
}

/** A length of time: `4 ms`, `29.6 s`, `1 m 02 s`, `2 h 06 m`. */
export function seconds(length: number | null): string {
  if (length === null) return NONE;
  return length < 0.9995 ? `${fixed(length * 1e3, 0)} ms` : moment(length);
}

/** A point in time since the start; never in milliseconds, so that a column of them is easy to compare. */
export function moment(at: number): string {
  if (at < 59.95) return `${fixed(at, 1)} s`;
  const whole = Math.round(at);
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${twoDigits(whole % 60)} s`;
  const minutes = Math.round(at / 60);
  return `${grouped(String(Math.floor(minutes / 60)))} h ${twoDigits(minutes % 60)} m`;
}

/** How far two values are apart, in the words of one of the functions above: `+$0.0100`, `−2.1 s`, `0`. */
export function change(difference: number, words: (size: number) => string): string {
  if (difference === 0) return "0";
  return `${difference < 0 ? MINUS : "+"}${words(Math.abs(difference))}`;
}

/** `1 message`, `5 messages`. */
export function count(number: number, noun: string, nouns = `${noun}s`): string {
  return `${whole(number)} ${number === 1 ? noun : nouns}`;
}

/** `1,000`: a count that is never shortened. */
export function whole(number: number): string {
  return grouped(String(number));
}

/** Round half up in decimal, as people do; binary rounding would print 1.005 as 1.00. */
function fixed(value: number, digits: number): string {
  const [mantissa, exponent = "0"] = String(value).split("e");
  const rounded = Math.round(Number(`${mantissa}e${Number(exponent) + digits}`));
  return (rounded / 10 ** digits).toFixed(digits);
}

function grouped(number: string): string {
  return number.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

function twoDigits(number: number): string {
  return String(number).padStart(2, "0");
}
