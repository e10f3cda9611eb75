package dev.sealwax.kms.envelope;

import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SeekableByteChannel;
import java.util.Arrays;

/** A file in memory, which hands out at most 5,000 bytes a time. Used by one thread. */
final class ArrayChannel implements SeekableByteChannel {
  private static final int MOST_BYTES = 5_000;

  private final long extraBytes;
  private byte[] bytes;
  private long position;
  private long bytesRead;
  private boolean open = true;

  ArrayChannel(byte[] bytes) {
    this(bytes, 0);
  }

  /** A file that claims to be longer by so much, as one does that is cut at this moment. */
  ArrayChannel(byte[] bytes, long extraBytes) {
    this.bytes = bytes.clone();
    this.extraBytes = extraBytes;
  }

  long bytesRead() {
    return bytesRead;
  }

  byte[] content() {
    return bytes.clone();
  }

  @Override
  public int read(ByteBuffer out) throws ClosedChannelException {
    requireOpen();
    if (position >= bytes.length) {
      return -1;
    }
    int part = (int) Math.min(Math.min(out.remaining(), MOST_BYTES), bytes.length - position);
    out.put(bytes, (int) position, part);
    position += part;
    bytesRead += part;
    return part;
  }

  @Override
  public int write(ByteBuffer in) throws ClosedChannelException {
    requireOpen();
    int part = in.remaining();
    bytes = Arrays.copyOf(bytes, (int) Math.max(bytes.length, position + part));
    in.get(bytes, (int) position, part);
    position += part;
    return part;
  }

  @Override
  public long position() throws ClosedChannelException {
    requireOpen();
    return position;
  }

  @Override
  public SeekableByteChannel position(long newPosition) throws ClosedChannelException {
    requireOpen();
    position = newPosition;
    return this;
  }

  @Override
  public long size() throws ClosedChannelException {
    requireOpen();
    return bytes.length + extraBytes;
  }

  @Override
  public SeekableByteChannel truncate(long newSize) throws ClosedChannelException {
    requireOpen();
    bytes = Arrays.copyOf(bytes, (int) Math.min(bytes.length, newSize));
    position = Math.min(position, newSize);
    return this;
  }

  @Override
  public boolean isOpen() {
    return open;
  }

  private void requireOpen() throws ClosedChannelException {
    if (!open) {
      throw new ClosedChannelException();
    }
  }

  @Override
  public void close() {
    open = false;
  }
}
