// The grammar of JSON numbers (RFC 8259, 6) as a state machine. Pure.

/** States within a number; larger than all other states of the reader. */
export const MINUS = 12;
export const ZERO = 13;
export const INTEGER = 14;
const POINT = 15;
const FRACTION = 16;
const EXPONENT = 17;
const EXPONENT_SIGN = 18;
const EXPONENT_DIGITS = 19;

export function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** Whether a number may end in this state. */
export function isWholeNumber(state: number): boolean {
  return state === ZERO || state === INTEGER || state === FRACTION || state === EXPONENT_DIGITS;
}

/** The next state for a byte; -1: it can't be part of the number. */
export function nextInNumber(state: number, byte: number): number {
  const isExponent = (byte | 0x20) === 0x65;
  switch (state) {
    case MINUS:
      if (byte === 0x30) return ZERO;
      return isDigit(byte) ? INTEGER : -1;
    case ZERO:
    case INTEGER:
      if (state === INTEGER && isDigit(byte)) return INTEGER;
      if (byte === 0x2e) return POINT;
      return isExponent ? EXPONENT : -1;
    case POINT:
      return isDigit(byte) ? FRACTION : -1;
    case FRACTION:
      if (isDigit(byte)) return FRACTION;
      return isExponent ? EXPONENT : -1;
    case EXPONENT:
      if (byte === 0x2b || byte === 0x2d) return EXPONENT_SIGN;
      return isDigit(byte) ? EXPONENT_DIGITS : -1;
    default:
      return isDigit(byte) ? EXPONENT_DIGITS : -1;
  }
}
