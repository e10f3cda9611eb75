package dev.sealwax.kms.envelope;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;

/** A plaintext that is in memory already, and the stream it came from, which is closed with it. */
final class OpenedInputStream extends FilterInputStream {
  private final InputStream source;

  OpenedInputStream(InputStream plaintext, InputStream source) {
    super(plaintext);
    this.source = source;
  }

  @Override
  public void close() throws IOException {
    source.close();
  }
}
