package dev.sealwax.kms.store;

import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.locks.LockSupport;

/** Envelopes from one process to all: a file that it appends to and that the others follow. */
final class FleetMail {
  private static final long PAUSE_NANOS = 2_000_000;
  private static final byte[] END = {};

  private FleetMail() {}

  static Path file(Path directory, int sender) {
    return directory.resolve("mail-" + sender);
  }

  /** The sender's end. For one thread. */
  static final class Outbox implements AutoCloseable {
    private final DataOutputStream out;

    Outbox(Path file) throws IOException {
      out = new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(file)));
    }

    void put(byte[] envelope) throws IOException {
      out.writeInt(envelope.length);
      out.write(envelope);
    }

    /** Lets the others have what was put in. */
    void send() throws IOException {
      out.flush();
    }

    /** Says that no more will come. */
    @Override
    public void close() throws IOException {
      put(END);
      out.close();
    }
  }

  /** A receiver's end. For one thread. */
  static final class Inbox implements AutoCloseable {
    private final FileChannel file;
    private final ByteBuffer buffer = ByteBuffer.allocate(1 << 16).flip();

    Inbox(Path path) throws IOException {
      file = FileChannel.open(path);
    }

    /** The next envelope, as soon as it is there; empty if no more will come. */
    byte[] take() throws IOException {
      await(Integer.BYTES);
      byte[] next = new byte[buffer.getInt()];
      await(next.length);
      buffer.get(next);
      return next;
    }

    private void await(int bytes) throws IOException {
      while (buffer.remaining() < bytes) {
        buffer.compact();
        int read = file.read(buffer);
        buffer.flip();
        if (read <= 0) {
          if (Thread.interrupted()) {
            throw new EOFException("nobody waits any more");
          }
          LockSupport.parkNanos(PAUSE_NANOS);
        }
      }
    }

    @Override
    public void close() throws IOException {
      file.close();
    }
  }
}
