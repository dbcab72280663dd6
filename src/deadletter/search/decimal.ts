/** A number as JSON writes it; linear, for each part is bounded by the next one's first character. */
const pattern = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** ± 0.d₁d₂d₃… × 10^exponent, without zeros at either end; zero has no digits. */
interface Decimal {
  readonly sign: 1 | -1;
  readonly digits: string;
  readonly exponent: number;
}

export const isDecimal = (text: string): boolean => pattern.test(text);

/**
 * Whether a is less than b (-1), the same number (0) or more (1), exactly, however many digits they have: a payload's int64
 * is past what a JavaScript number can hold. Both as JSON writes numbers.
 */
export function compareDecimals(a: string, b: string): -1 | 0 | 1 {
  const [x, y] = [decimalOf(a), decimalOf(b)];
  if (x.digits === "" && y.digits === "") return 0;
  if (x.digits === "") return y.sign === 1 ? -1 : 1;
  if (y.digits === "") return x.sign;
  if (x.sign !== y.sign) return x.sign;
  // Digits without zeros before them: the larger exponent is the larger number, and equal ones compare as text does.
  const [more, less]: readonly (1 | -1)[] = x.sign === 1 ? [1, -1] : [-1, 1];
  if (x.exponent !== y.exponent) return x.exponent > y.exponent ? more! : less!;
  if (x.digits === y.digits) return 0;
  return x.digits > y.digits ? more! : less!;
}

function decimalOf(text: string): Decimal {
  const [, minus, whole = "", fraction = "", power = "0"] = pattern.exec(text) ?? [];
  const all = whole + fraction;
  let first = 0;
  while (all[first] === "0") first += 1;
  let end = all.length;
  while (end > first && all[end - 1] === "0") end -= 1;
  return {
    sign: minus === "-" ? -1 : 1,
    digits: all.slice(first, end),
    exponent: whole.length - first + Number(power),
  };
}
