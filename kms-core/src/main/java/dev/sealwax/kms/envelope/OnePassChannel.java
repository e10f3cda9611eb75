package dev.sealwax.kms.envelope;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ReadableByteChannel;
import java.util.Arrays;

/**
 * A stream of plaintext as a channel; unlike that of the JDK it keeps no plaintext in a buffer of
 * its own. Closing it closes the stream. For one thread at a time.
 */
final class OnePassChannel implements ReadableByteChannel {
  private static final int PIECE_BYTES = 16 * 1024;

  private final InputStream plaintext;
  private boolean open = true;

  OnePassChannel(InputStream plaintext) {
    this.plaintext = plaintext;
  }

  @Override
  public int read(ByteBuffer out) throws IOException {
    if (!open) {
      throw new ClosedChannelException();
    }
    if (out.isReadOnly()) {
      throw new IllegalArgumentException("the buffer is read-only");
    }
    if (!out.hasRemaining()) {
      return 0;
    }
    if (out.hasArray()) {
      int length = plaintext.read(out.array(), out.arrayOffset() + out.position(), out.remaining());
      out.position(out.position() + Math.max(0, length));
      return length;
    }
    byte[] piece = new byte[Math.min(PIECE_BYTES, out.remaining())];
    try {
      int length = plaintext.read(piece);
      out.put(piece, 0, Math.max(0, length));
      return length;
    } finally {
      Arrays.fill(piece, (byte) 0);
    }
  }

  @Override
  public boolean isOpen() {
    return open;
  }

  @Override
  public void close() throws IOException {
    if (open) {
      open = false;
      plaintext.close();
    }
  }
}
