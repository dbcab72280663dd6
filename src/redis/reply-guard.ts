/** Redis answers us with lists in lists in a list, no more. */
const deepest = 32;
/** The library makes room for a list with its first line: nobody may have that for nothing. All names of queues are one list. */
const longestList = 2 ** 22;
/** And for each in another, as long as those are open. Ours are rows and pages. */
const longestInner = 100_000;
/** Digits of a number of 64 bits. */
const longestNumber = 19;

const carriageReturn = 13;
const [minus, zero, nine] = [45, 48, 57];
const [simple, error, integer, bulk, list] = [..."+-:$*"].map((type) => type.codePointAt(0));

/**
 * Follows what a server sends from one reply to the next, without taking it to pieces. The library takes more for an
 * answer than RESP2 has, which we speak, and throws at some of that, and at some messages of a subscription, where nobody
 * can catch it: the process would end. So what no Redis sends must not come that far.
 */
export class ReplyGuard {
  /** From now on what comes is for a subscriber. */
  subscribes = false;
  /** Of the value that has begun; `undefined` between two. */
  #type: number | undefined;
  /** Of its line: the characters so far, and where it is a number, that number and whether it has a minus. */
  #length = 0;
  #number = 0;
  #negative = false;
  /** Bytes that follow a line: its line feed, and those of a bulk string. */
  #skip = 0;
  /** How many values are missing in the lists that are open; the innermost is the last. */
  readonly #open: number[] = [];
  /** Values of the outermost list that have begun. */
  #begun = 0;

  /** Whether all of this may go to the library. Once it may not, nothing more may. */
  accepts(chunk: Buffer): boolean {
    for (let at = 0; at < chunk.length;) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - at);
        this.#skip -= step;
        at += step;
      } else if (this.#type === undefined) {
        const type = chunk[at++]!;
        // The library throws at once, before the line that would tell: it may be in the next piece.
        if (type !== bulk && type !== list && type !== integer && type !== simple && type !== error) return false;
        this.#type = type;
      } else if (this.#type === simple || this.#type === error) {
        const end = chunk.indexOf(carriageReturn, at);
        this.#length += (end === -1 ? chunk.length : end) - at;
        if (end === -1) return true;
        at = end + 1;
        if (!this.#takes(this.#type)) return false;
      } else {
        const byte = chunk[at++]!;
        if (byte === carriageReturn ? !this.#takes(this.#type) : !this.#counts(byte)) return false;
      }
    }
    return true;
  }

  /** One more character of a number. */
  #counts(byte: number): boolean {
    if (byte >= zero && byte <= nine) {
      this.#number = this.#number * 10 + byte - zero;
      this.#length += 1;
      // Of what has a length -1 alone is none.
      return this.#negative && this.#type !== integer
        ? this.#number === 1 && this.#length === 1
        : this.#length <= longestNumber;
    }
    const isSign = byte === minus && this.#length === 0 && !this.#negative;
    this.#negative ||= isSign;
    // With its minus the library takes it for nothing, before the line is whole.
    return isSign && !(this.subscribes && (this.#open.length === 0 || (this.#open.length === 1 && this.#begun < 2)));
  }

  #takes(type: number): boolean {
    const length = this.#length;
    const negative = this.#negative;
    const number = negative ? -this.#number : this.#number;
    this.#type = undefined;
    this.#length = 0;
    this.#number = 0;
    this.#negative = false;
    this.#skip = 1;
    const isSized = type === bulk || type === list;
    if ((isSized || type === integer) && length === 0) return false;
    const isNull = isSized && negative;
    if (isSized && !Number.isSafeInteger(number)) return false;
    if (this.subscribes && !this.#isForSubscribers(type, type === simple ? length : number, isNull)) return false;
    if (type === list && number > 0) {
      const longest = this.#open.length === 0 ? longestList : longestInner;
      return number <= longest && this.#open.push(number) <= deepest;
    }
    if (type === bulk && !isNull) this.#skip += number + 2;
    this.#close();
    return true;
  }

  /** A value is whole, and perhaps the lists that it is the last of. */
  #close(): void {
    for (let depth = this.#open.length - 1; depth >= 0; depth--) {
      this.#open[depth]! -= 1;
      if (this.#open[depth]! > 0) return;
      this.#open.pop();
    }
  }

  /** Lists that begin with a kind and a channel; and before those a status. */
  #isForSubscribers(type: number, size: number, isNull: boolean): boolean {
    if (this.#open.length === 0) {
      this.#begun = 0;
      return type === error || ((type === simple || type === list) && size > 1);
    }
    return this.#open.length > 1 || this.#begun++ > 1 || !isNull;
  }
}
