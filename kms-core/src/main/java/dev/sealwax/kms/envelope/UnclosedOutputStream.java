package dev.sealwax.kms.envelope;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;

/** A stream whose end is its owner's business: {@code close} only flushes. */
final class UnclosedOutputStream extends FilterOutputStream {
  UnclosedOutputStream(OutputStream out) {
    super(out);
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    out.write(bytes, offset, length); // the superclass writes byte by byte
  }

  @Override
  public void close() throws IOException {
    out.flush();
  }
}
