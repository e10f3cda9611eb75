package dev.sealwax.kms.envelope;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/**
 * A plaintext that is in memory already, wiped on close, and the stream it came from, which is
 * closed with it. For one thread at a time.
 */
final class OpenedInputStream extends ReadyInputStream {
  private final InputStream source;
  private boolean closed;

  /**
   * Takes over both.
   *
   * @param plaintext owned by the stream from now on
   */
  OpenedInputStream(byte[] plaintext, InputStream source) {
    super(plaintext);
    this.source = source;
    limit = plaintext.length;
  }

  @Override
  boolean fill() throws IOException {
    if (closed) {
      throw new IOException("the stream is closed");
    }
    return position < limit;
  }

  @Override
  public void close() throws IOException {
    closed = true;
    Arrays.fill(ready, (byte) 0);
    position = limit;
    source.close();
  }
}
