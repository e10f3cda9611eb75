package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.ByteBuffer;
import org.bouncycastle.crypto.generators.Argon2BytesGenerator;
import org.bouncycastle.crypto.params.Argon2Parameters;

/**
 * What one guess at a passphrase costs: the parameters of Argon2id (RFC 9106) as a root key file
 * stores them. Immutable.
 *
 * <p>The floor is the table of the OWASP Password Storage Cheat Sheet, so nobody can weaken a file
 * quietly; the ceiling keeps a hostile file from taking the machine down.
 *
 * @param memoryKib memory, in KiB
 * @param iterations passes over the memory
 * @param parallelism lanes; computed one after the other here
 */
record Argon2Cost(int memoryKib, int iterations, int parallelism) {
  // Before DEFAULT, whose constructor reads it.
  private static final int[] OWASP_MIN_MEMORY_KIB_BY_ITERATIONS = {47104, 19456, 12288, 9216, 7168};

  /** RFC 9106 §4, second recommended option, in one lane because ours run in sequence. */
  static final Argon2Cost DEFAULT = new Argon2Cost(64 * 1024, 3, 1);

  static final int ENCODED_LEN = 12;
  static final int MAX_MEMORY_KIB = 1024 * 1024;
  static final long MAX_MEMORY_KIB_TIMES_ITERATIONS = 4L * MAX_MEMORY_KIB;
  static final int MAX_PARALLELISM = 16;

  private static final int OUTPUT_LEN = 32;

  Argon2Cost {
    if (!isAllowed(memoryKib, iterations, parallelism)) {
      throw new IllegalArgumentException(problem(memoryKib, iterations, parallelism));
    }
  }

  private static boolean isAllowed(int memoryKib, int iterations, int parallelism) {
    if (iterations < 1 || parallelism < 1 || parallelism > MAX_PARALLELISM) {
      return false;
    }
    int row = Math.min(iterations, OWASP_MIN_MEMORY_KIB_BY_ITERATIONS.length) - 1;
    return memoryKib >= OWASP_MIN_MEMORY_KIB_BY_ITERATIONS[row]
        && memoryKib <= MAX_MEMORY_KIB
        && (long) memoryKib * iterations <= MAX_MEMORY_KIB_TIMES_ITERATIONS;
  }

  private static String problem(int memoryKib, int iterations, int parallelism) {
    return "argon2id cost is outside the accepted range: "
        + Integer.toUnsignedString(memoryKib)
        + " KiB, "
        + Integer.toUnsignedString(iterations)
        + " iterations, "
        + Integer.toUnsignedString(parallelism)
        + " lanes";
  }

  /**
   * Reads what {@link #encoded} wrote.
   *
   * @throws RootKeyException with {@code INVALID_CIPHERTEXT} if below the floor or above the
   *     ceiling
   */
  static Argon2Cost decode(byte[] parameters) {
    ByteBuffer in = ByteBuffer.wrap(parameters);
    int memoryKib = in.getInt();
    int iterations = in.getInt();
    int parallelism = in.getInt();
    if (!isAllowed(memoryKib, iterations, parallelism)) {
      throw new RootKeyException(INVALID_CIPHERTEXT, problem(memoryKib, iterations, parallelism));
    }
    return new Argon2Cost(memoryKib, iterations, parallelism);
  }

  byte[] encoded() {
    return ByteBuffer.allocate(ENCODED_LEN)
        .putInt(memoryKib)
        .putInt(iterations)
        .putInt(parallelism)
        .array();
  }

  /**
   * Argon2id version 0x13 without secret and associated data; the caller wipes the result.
   *
   * @throws RootKeyException with {@code UNSUPPORTED} if the heap of this JVM is too small for it
   */
  byte[] stretch(byte[] passphrase, byte[] salt) {
    requireHeap(Runtime.getRuntime().maxMemory() / 1024);
    Argon2Parameters parameters =
        new Argon2Parameters.Builder(Argon2Parameters.ARGON2_id)
            .withVersion(Argon2Parameters.ARGON2_VERSION_13)
            .withMemoryAsKB(memoryKib)
            .withIterations(iterations)
            .withParallelism(parallelism)
            .withSalt(salt)
            .build();
    Argon2BytesGenerator generator = new Argon2BytesGenerator();
    generator.init(parameters);
    byte[] out = new byte[OUTPUT_LEN];
    generator.generateBytes(passphrase, out);
    return out;
  }

  /** An {@code OutOfMemoryError} here would take down whoever else allocates at that moment. */
  void requireHeap(long heapKib) {
    if (memoryKib >= heapKib) {
      throw new RootKeyException(
          UNSUPPORTED,
          "argon2id needs " + memoryKib + " KiB of heap, this JVM has " + heapKib + "; raise -Xmx");
    }
  }
}
