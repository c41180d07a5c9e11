import { describe, expect, test } from "vitest";
import table from "../../tests/views/words.json";
import * as words from "../src/words";

type Case = [value: never, printed: string];
const cases = table as unknown as Record<string, Case[]>;

const PRINT: Record<string, (value: never) => string> = {
  money: (usd) => words.money(usd),
  money_simulated: (usd) => words.money(usd, true),
  cost: ([usd, calls]: [number | null, number]) => words.cost(usd, calls),
  tokens: words.tokens,
  size: words.size,
  seconds: words.seconds,
  moment: words.moment,
  money_change: (difference) => words.change(difference, words.money),
  tokens_change: (difference) => words.change(difference, words.tokens),
  seconds_change: (difference) => words.change(difference, words.seconds),
  count: ([number, noun]: [number, string]) => words.count(number, noun),
};

test("every table has its words", () => expect(Object.keys(cases).sort()).toEqual(Object.keys(PRINT).sort()));

describe.each(Object.keys(PRINT))("%s", (table) => {
  test.each(cases[table]!)("%j is %s", (value, printed) => expect(PRINT[table]!(value)).toBe(printed));
});
