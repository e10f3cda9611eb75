package dev.sealwax.kms.envelope;

import static dev.sealwax.kms.crypto.ChunkCipher.CHUNK_BYTES;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.Objects;

/** A stream that hands out what its subclass makes ready, a piece at a time. */
abstract class ReadyInputStream extends InputStream {
  /** Holds the bytes from {@link #position} to {@link #limit}; nothing if these are equal. */
  byte[] ready;

  int position;
  int limit;

  ReadyInputStream(byte[] ready) {
    this.ready = ready;
  }

  /** Makes at least one byte ready unless some are; false at the end of the stream. */
  abstract boolean fill() throws IOException;

  /**
   * To be called when nothing is ready: puts a piece straight into {@code out}, which saves copying
   * it. If it throws, that part of {@code out} may have changed.
   *
   * @return bytes put there; 0 leaves it to {@link #fill}: there may be no room, or no piece
   */
  int readDirectly(byte[] out, int offset, int length) throws IOException {
    return 0;
  }

  @Override
  public final int read() throws IOException {
    return fill() ? ready[position++] & 0xff : -1;
  }

  @Override
  public final int read(byte[] out, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(offset, length, out.length);
    if (length == 0) {
      return 0;
    }
    if (position == limit) {
      int direct = readDirectly(out, offset, length);
      if (direct > 0) {
        return direct;
      }
    }
    if (!fill()) {
      return -1;
    }
    int part = Math.min(length, limit - position);
    System.arraycopy(ready, position, out, offset, part);
    position += part;
    return part;
  }

  /** As any other stream, by way of an array that is wiped afterwards. */
  @Override
  public long transferTo(OutputStream sink) throws IOException {
    Objects.requireNonNull(sink, "sink");
    // Not what is ready here: a sink may close this stream, which wipes that.
    byte[] piece = new byte[CHUNK_BYTES];
    long transferred = 0;
    try {
      for (int length; (length = read(piece)) > 0; transferred += length) {
        sink.write(piece, 0, length);
      }
      return transferred;
    } finally {
      Arrays.fill(piece, (byte) 0);
    }
  }

  @Override
  public final int available() {
    return limit - position;
  }
}
