package dev.sealwax.kms.rootkey;

import com.sun.management.HotSpotDiagnosticMXBean;
import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * A process that uses every kind of key, dumps its heap, closes everything and dumps its heap
 * again. It is told no key but the passphrase, and keeps none by itself but the control.
 */
final class KeyRemnantsChild {
  static final EncryptionContext CONTEXT = EncryptionContext.of("table", "orders");
  static final String NAME = "orders";

  /** The control: a key that somebody forgot. */
  @SuppressWarnings("unused")
  private static byte[] kept = new byte[32];

  /** Stays reachable, so that what is gone was wiped and not just collected. */
  @SuppressWarnings("unused")
  private static List<Object> closedButKept = List.of();

  private KeyRemnantsChild() {}

  /** Works in the directory that is the only argument. */
  public static void main(String[] args) throws Exception {
    Path directory = Path.of(args[0]);
    read(directory.resolve("kept.key"), kept);
    byte[] wiped = new byte[32];
    read(directory.resolve("wiped.key"), wiped);
    Arrays.fill(wiped, (byte) 0);

    Kms kms = open(directory, Kms.builder());
    Kms strict = open(directory, Kms.builder().strict());
    work(directory, kms, "kept");
    work(directory, strict, "strict");
    Object[] halfRead = halfRead(directory, kms);
    dump(directory.resolve("open.hprof"));
    if (halfRead.length == 0) {
      throw new AssertionError("keeps the streams reachable until here");
    }
    Arrays.fill(halfRead, null);
    closedButKept = Reachable.ownObjects(kms, strict);
    requireKinds("GcmKey$Slot", "ChunkedKey$Slot", "KeyWrap$WrapSlot", "DocumentKey", "RootKey");
    kms.close();
    strict.close();
    dump(directory.resolve("closed.hprof"));
  }

  private static void requireKinds(String... kinds) {
    for (String kind : kinds) {
      if (closedButKept.stream().noneMatch(o -> o.getClass().getName().endsWith(kind))) {
        throw new AssertionError("the walk has not found any " + kind);
      }
    }
  }

  private static Kms open(Path directory, Kms.Builder builder) throws IOException {
    char[] passphrase = passphrase(directory.resolve("passphrase"));
    try {
      return builder
          .rootKey(LocalRootKey.open(directory.resolve("root.key"), passphrase))
          .store(FileKeysetStore.at(directory.resolve("keysets")))
          .build();
    } finally {
      Arrays.fill(passphrase, '\0');
    }
  }

  private static char[] passphrase(Path file) throws IOException {
    byte[] ascii = new byte[(int) Files.size(file)];
    read(file, ascii);
    char[] passphrase = new char[ascii.length];
    for (int i = 0; i < ascii.length; i++) {
      passphrase[i] = (char) ascii[i];
    }
    Arrays.fill(ascii, (byte) 0);
    return passphrase;
  }

  /** Straight into {@code out}: a stream of this size is read through no array on the heap. */
  private static void read(Path file, byte[] out) throws IOException {
    try (InputStream in = new FileInputStream(file.toFile())) {
      if (in.readNBytes(out, 0, out.length) != out.length) {
        throw new IOException(file + " is too short");
      }
    }
  }

  private static void work(Path directory, Kms kms, String prefix) throws IOException {
    EnvelopeCipher cipher = kms.envelopeCipher(NAME);
    EncryptionContext other = EncryptionContext.of("table", "others");
    int[] lengths = {0, 100, 20_000, 100_000};
    for (int i = 0; i < lengths.length; i++) {
      byte[] envelope = cipher.encrypt(new byte[lengths[i]], CONTEXT);
      cipher.decrypt(envelope, CONTEXT);
      try {
        cipher.decrypt(envelope, other);
        throw new AssertionError("opened under another context");
      } catch (dev.sealwax.kms.vocabulary.DecryptionFailedException e) {
        // as it must be; a failed tag is a way of its own through the JCE
      }
      Files.write(directory.resolve(prefix + "-" + i + ".envelope"), envelope);
    }
    for (String foreign : new String[] {"first-small", "first-large"}) {
      byte[] envelope = Files.readAllBytes(directory.resolve(foreign + ".envelope"));
      cipher.decrypt(envelope, CONTEXT);
      cipher.decrypt(cipher.rewrap(envelope), CONTEXT);
      Files.write(
          directory.resolve(prefix + "-again-" + foreign + ".envelope"),
          cipher.reencrypt(envelope, CONTEXT));
    }
    kms.keysets().rotate(NAME);
    Files.write(
        directory.resolve(prefix + "-rotated.envelope"), cipher.encrypt(new byte[64], CONTEXT));
  }

  /** Streams and channels in the middle of their message, never closed. */
  private static Object[] halfRead(Path directory, Kms kms) throws IOException {
    EnvelopeCipher cipher = kms.envelopeCipher(NAME);
    Path large = directory.resolve("first-large.envelope");
    InputStream stream = cipher.decryptingStream(Files.newInputStream(large), CONTEXT);
    stream.readNBytes(20_000);
    SeekableByteChannel channel = cipher.decryptingChannel(FileChannel.open(large), CONTEXT);
    channel.read(ByteBuffer.allocate(10));
    var out =
        cipher.encryptingStream(
            Channels.newOutputStream(
                FileChannel.open(
                    directory.resolve("half-written.envelope"),
                    java.nio.file.StandardOpenOption.CREATE,
                    java.nio.file.StandardOpenOption.WRITE)),
            CONTEXT);
    out.write(new byte[20_000]);
    InputStream pulled =
        cipher.encryptingStream(new ByteArrayInputStream(new byte[50_000]), CONTEXT);
    Files.write(directory.resolve("half-pulled.envelope"), pulled.readNBytes(20_000));
    return new Object[] {stream, channel, out, pulled};
  }

  private static void dump(Path file) throws IOException {
    for (int i = 0; i < 3; i++) {
      System.gc();
    }
    ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class)
        .dumpHeap(file.toString(), false);
  }
}
