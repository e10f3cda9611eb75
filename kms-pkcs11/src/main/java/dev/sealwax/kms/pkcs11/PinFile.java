package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.Arrays;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** A PIN in a file that not everybody may read. Safe for any thread. */
final class PinFile implements PinSource {
  private static final int MAX_BYTES = 1024;

  private final Path file;

  PinFile(Path file) {
    this.file = Objects.requireNonNull(file, "PIN file");
  }

  static PinSource ofEnvironment(String variable, Function<String, @Nullable String> environment) {
    Objects.requireNonNull(variable, "environment variable");
    return () -> {
      String value = environment.apply(variable);
      if (value == null || value.isEmpty()) {
        throw new RootKeyException(
            ACCESS_DENIED, "environment variable " + variable + " with the PIN is not set");
      }
      return value.toCharArray();
    };
  }

  @Override
  public char[] pin() {
    byte[] content = read();
    try {
      CharBuffer text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content));
      char[] chars = text.array();
      int length = text.remaining();
      if (length > 0 && chars[length - 1] == '\n') {
        length--;
      }
      if (length > 0 && chars[length - 1] == '\r') {
        length--;
      }
      char[] pin = Arrays.copyOf(chars, length);
      Arrays.fill(chars, '\0');
      if (pin.length == 0) {
        throw new RootKeyException(ACCESS_DENIED, "PIN file " + file + " is empty");
      }
      return pin;
    } catch (CharacterCodingException e) {
      // Without the cause, which could tell where in the PIN.
      throw new RootKeyException(ACCESS_DENIED, "PIN file " + file + " is not UTF-8");
    } finally {
      Arrays.fill(content, (byte) 0);
    }
  }

  private byte[] read() {
    // Its own, because a stream that finds the length itself leaves copies behind.
    byte[] room = new byte[MAX_BYTES + 1];
    try {
      if (file.getFileSystem().supportedFileAttributeViews().contains("posix")) {
        Set<PosixFilePermission> mode = Files.getPosixFilePermissions(file);
        if (mode.contains(PosixFilePermission.OTHERS_READ)
            || mode.contains(PosixFilePermission.OTHERS_WRITE)) {
          throw new RootKeyException(
              ACCESS_DENIED,
              "everybody may access PIN file "
                  + file
                  + "; find out who did, then run: chmod 400 "
                  + file);
        }
      }
      try (InputStream in = Files.newInputStream(file)) {
        int length = in.readNBytes(room, 0, room.length);
        if (length > MAX_BYTES) {
          throw new RootKeyException(
              ACCESS_DENIED, "PIN file " + file + " has more than " + MAX_BYTES + " bytes");
        }
        return Arrays.copyOf(room, length);
      }
    } catch (IOException e) {
      throw new RootKeyException(ACCESS_DENIED, "cannot read PIN file " + file, e);
    } finally {
      Arrays.fill(room, (byte) 0);
    }
  }

  @Override
  public String toString() {
    return "PinFile[" + file + "]";
  }
}
