package dev.sealwax.kms.envelope;

import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;

/** A source that never returns more than 777 bytes at once. */
final class Dribble extends FilterInputStream {
  private Dribble(InputStream in) {
    super(in);
  }

  // Not a ByteArrayInputStream itself, whose readNBytes takes one short read for the end.
  static Dribble of(byte[] bytes) {
    return new Dribble(new ByteArrayInputStream(bytes));
  }

  @Override
  public int read(byte[] out, int offset, int length) throws IOException {
    return in.read(out, offset, Math.min(length, 777));
  }
}
