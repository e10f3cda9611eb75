package dev.sealwax.kms.envelope;

import dev.sealwax.kms.keyset.KeyState;
import dev.sealwax.kms.keyset.ManualTime;
import dev.sealwax.kms.keyset.TestKeysets;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * The library with the keys of a vector: an {@link EnvelopeCipher} over an authenticated keyset
 * that holds them.
 */
final class EnvelopeVectorOpener implements VectorOpener {
  // One for all: making one writes a file and waits for the disk.
  private static final RootKey ROOT = TestRootKeys.inMemory();

  private final EnvelopeRig rig;
  private final EnvelopeCipher cipher;

  private EnvelopeVectorOpener(EnvelopeRig rig, EnvelopeCipher cipher) {
    this.rig = rig;
    this.cipher = cipher;
  }

  /**
   * Opens.
   *
   * @param keys numbered from 1 without a gap, as in every keyset
   */
  static EnvelopeVectorOpener create(String keyset, List<Key> keys) {
    List<TestKeysets.Version> versions = new ArrayList<>();
    int primary = 0;
    for (Key key : keys) {
      versions.add(new TestKeysets.Version(KeyState.valueOf(key.state()), key.kek()));
      if (key.version() != versions.size()) {
        throw new IllegalArgumentException("no keyset holds the versions " + keys);
      }
      if (key.state().equals("ENABLED")) {
        primary = key.version();
      }
    }
    EnvelopeRig rig =
        EnvelopeRig.over(
            ROOT, TestKeysets.stored(KeysetId.of(keyset), Math.max(1, primary), versions, ROOT));
    return new EnvelopeVectorOpener(rig, rig.cipher(keyset));
  }

  /**
   * Opens the keyset of a vector when its clock says so. What expires is made to while that is
   * still to come, and by the verbs, as everywhere.
   */
  static VectorOpener create(EnvelopeVector vector) {
    EnvelopeVectorOpener opener = create(vector.keyset(), vector.keys());
    for (Key key : vector.keys()) {
      if (key.expiresAt() != null) {
        opener.rig.verbs().setExpiry(vector.keyset(), key.version(), key.expiresAt());
      }
    }
    if (vector.expiresAt() != null) {
      opener.rig.verbs().setExpiry(vector.keyset(), vector.expiresAt());
    }
    if (vector.now() != null) {
      opener.rig.pass(Duration.between(ManualTime.START, vector.now()));
    }
    return opener;
  }

  @Override
  public byte[] open(EncryptionContext context, byte[] envelope) {
    return cipher.decrypt(envelope, context);
  }

  @Override
  public byte[] openText(EncryptionContext context, String text) {
    return cipher.decryptText(text, context);
  }

  @Override
  public byte[] openSplit(EncryptionContext context, byte[] header, byte[] body) {
    return cipher.decryptSplit(SplitEnvelope.of(header, body), context);
  }

  @Override
  public InputStream openStream(EncryptionContext context, InputStream envelope) {
    try {
      return cipher.decryptingStream(envelope, context);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public long sizeOf(EncryptionContext context, byte[] envelope) {
    try (SeekableByteChannel channel = channel(context, envelope)) {
      return channel.size();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public byte[] openRange(
      EncryptionContext context, byte[] envelope, long position, int lengthBytes) {
    try (SeekableByteChannel channel = channel(context, envelope)) {
      ByteBuffer out = ByteBuffer.allocate(lengthBytes);
      channel.position(position);
      while (out.hasRemaining() && channel.read(out) >= 0) {
        // a channel may return less than asked for
      }
      return out.array();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private SeekableByteChannel channel(EncryptionContext context, byte[] envelope)
      throws IOException {
    return cipher.decryptingChannel(new ArrayChannel(envelope), context);
  }

  @Override
  public byte[] seal(EncryptionContext context, byte[] plaintext) {
    return cipher.encrypt(plaintext, context);
  }

  @Override
  public byte[] sealStream(EncryptionContext context, byte[] plaintext) {
    ByteArrayOutputStream sink = new ByteArrayOutputStream();
    try (OutputStream out = cipher.encryptingStream(sink, context)) {
      out.write(plaintext);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return sink.toByteArray();
  }

  @Override
  public byte[] rewrap(byte[] envelope) {
    return cipher.rewrap(envelope);
  }

  @Override
  public long mostMessagesPerDataKey() {
    return DataKeyPolicy.MAX_MESSAGES;
  }

  @Override
  public void close() {
    rig.close();
  }
}
