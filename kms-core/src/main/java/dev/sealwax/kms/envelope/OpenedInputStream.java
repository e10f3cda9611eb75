package dev.sealwax.kms.envelope;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Objects;

/**
 * A plaintext that is in memory already, wiped on close, and the stream it came from, which is
 * closed with it. For one thread at a time.
 */
final class OpenedInputStream extends InputStream {
  private final byte[] plaintext;
  private final InputStream source;
  private int position;
  private boolean closed;

  /**
   * Takes over both.
   *
   * @param plaintext owned by the stream from now on
   */
  OpenedInputStream(byte[] plaintext, InputStream source) {
    this.plaintext = plaintext;
    this.source = source;
  }

  @Override
  public int read() throws IOException {
    requireOpen();
    return position < plaintext.length ? plaintext[position++] & 0xff : -1;
  }

  @Override
  public int read(byte[] out, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(offset, length, out.length);
    requireOpen();
    if (length == 0) {
      return 0;
    }
    if (position == plaintext.length) {
      return -1;
    }
    int part = Math.min(length, plaintext.length - position);
    System.arraycopy(plaintext, position, out, offset, part);
    position += part;
    return part;
  }

  @Override
  public int available() {
    return closed ? 0 : plaintext.length - position;
  }

  private void requireOpen() throws IOException {
    if (closed) {
      throw new IOException("the stream is closed");
    }
  }

  @Override
  public void close() throws IOException {
    closed = true;
    Arrays.fill(plaintext, (byte) 0);
    source.close();
  }
}
