package dev.sealwax.kms.pkcs11;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import com.code_intelligence.jazzer.junit.FuzzTest;

/** Whatever is read is what would be written, and nothing makes reading fail. */
final class WrappedBlobFuzz {
  @FuzzTest
  void decode(byte[] bytes) {
    WrappedBlob decoded = WrappedBlob.decode(bytes);
    if (decoded != null) {
      assertArrayEquals(bytes, decoded.encode());
    }
  }
}
