// A stream that is written from one side and read from the other, and that can be broken off at any moment, also while a write waits for
// a reader that stands still (the platform's TransformStream can't).

export interface Pipe {
  readonly readable: ReadableStream<Uint8Array>;
  /** Resolves when the reader has room for more; rejects when it has left. */
  write(piece: Uint8Array): Promise<void>;
  end(): void;
  /** The reader gets `error`. */
  fail(error: unknown): void;
}

export function createPipe(): Pipe {
  const state = { room: Promise.withResolvers<undefined>(), isOver: false };
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const readable = new ReadableStream<Uint8Array>(
    {
      start: (given) => void (controller = given),
      pull: () => state.room.resolve(undefined),
      cancel() {
        state.isOver = true;
        state.room.reject(new Error("the reader has left"));
      },
    },
    { highWaterMark: 1 },
  );
  state.room.promise.catch(() => undefined);
  return {
    readable,
    async write(piece) {
      await state.room.promise;
      state.room = Promise.withResolvers<undefined>();
      state.room.promise.catch(() => undefined);
      controller?.enqueue(piece);
    },
    end() {
      if (!state.isOver) controller?.close();
      state.isOver = true;
    },
    fail(error) {
      if (!state.isOver) controller?.error(error);
      state.isOver = true;
      state.room.reject(error);
    },
  };
}
