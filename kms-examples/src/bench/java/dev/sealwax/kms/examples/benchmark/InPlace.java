package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.SplitEnvelope;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;

/**
 * A rewrap of an envelope where it is: in memory, so that no operating system is measured. Before
 * each the old header is put back, or there would be nothing to move. For one thread.
 */
final class InPlace implements Interleave.Operation {
  private final EnvelopeCipher cipher;
  private final byte[] oldHeader;
  private final byte[] envelope;
  private final SeekableByteChannel channel;

  /** Takes an envelope of an older key version, which it copies. */
  InPlace(EnvelopeCipher cipher, byte[] envelope) {
    this.cipher = cipher;
    this.oldHeader = SplitEnvelope.of(envelope).header();
    this.envelope = envelope.clone();
    this.channel = new Memory(this.envelope);
  }

  @Override
  public byte[] run() throws IOException {
    System.arraycopy(oldHeader, 0, envelope, 0, oldHeader.length);
    cipher.rewrap(channel);
    return envelope;
  }

  /** Bytes of a length that does not change. */
  private static final class Memory implements SeekableByteChannel {
    private final byte[] bytes;
    private int position;

    private Memory(byte[] bytes) {
      this.bytes = bytes;
    }

    @Override
    public int read(ByteBuffer out) {
      if (position == bytes.length) {
        return -1;
      }
      int count = Math.min(out.remaining(), bytes.length - position);
      out.put(bytes, position, count);
      position += count;
      return count;
    }

    @Override
    public int write(ByteBuffer in) {
      int count = in.remaining();
      in.get(bytes, position, count);
      position += count;
      return count;
    }

    @Override
    public long position() {
      return position;
    }

    @Override
    public SeekableByteChannel position(long newPosition) {
      position = Math.toIntExact(newPosition);
      return this;
    }

    @Override
    public long size() {
      return bytes.length;
    }

    @Override
    public SeekableByteChannel truncate(long size) {
      throw new UnsupportedOperationException("has one length");
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public void close() {}
  }
}
