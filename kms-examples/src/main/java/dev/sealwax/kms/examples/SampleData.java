package dev.sealwax.kms.examples;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;

/** Invented orders and papers to run {@link ProtectFiles} on; always the same. */
final class SampleData {
  static final List<String> COLUMNS = List.of("customer", "email", "phone", "card_number", "note");

  private static final int RECORDING_BYTES = 32 << 20;
  private static final int BLOCK_BYTES = 1 << 16;

  private SampleData() {}

  /** Writes {@code orders.csv}, 1,000 orders with names and (impossible) card numbers. */
  static Path writeOrders(Path directory) throws IOException {
    return copy("orders.csv", directory.resolve("orders.csv"));
  }

  /** Writes a folder of texts, an image, an empty file and a large one. */
  static Path writePapers(Path directory) throws IOException {
    Path papers = directory.resolve("papers");
    copy("contract.txt", papers.resolve("contracts/contract.txt"));
    copy("minutes.md", papers.resolve("minutes.md"));
    copy("badge.png", papers.resolve("badge.png"));
    AtomicFile.write(papers.resolve("empty.txt"), new byte[0]);
    writeRecording(papers.resolve("recordings/call.raw"));
    return papers;
  }

  private static Path copy(String name, Path target) throws IOException {
    try (InputStream in = SampleData.class.getResourceAsStream("sample/" + name)) {
      if (in == null) {
        throw new IOException("sample/" + name + " is missing beside the classes");
      }
      AtomicFile.write(target, in.readAllBytes());
    }
    return target;
  }

  private static void writeRecording(Path target) throws IOException {
    if (Files.exists(target)) {
      return;
    }
    SplittableRandom noise = new SplittableRandom(1);
    ByteBuffer block = ByteBuffer.allocate(BLOCK_BYTES);
    try (AtomicFile file = AtomicFile.create(target)) {
      for (int written = 0; written < RECORDING_BYTES; written += BLOCK_BYTES) {
        block.clear();
        while (block.hasRemaining()) {
          block.putLong(noise.nextLong());
        }
        file.out().write(block.array());
      }
      file.commit();
    }
  }
}
