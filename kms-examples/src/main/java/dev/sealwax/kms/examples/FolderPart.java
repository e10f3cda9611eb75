package dev.sealwax.kms.examples;

import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A folder whose files are sealed one by one, as streams, so that their size does not matter. Each
 * file is bound to its folder and path, so that it opens in no other place.
 */
final class FolderPart implements Part {
  private static final String SUFFIX = ".swx";
  private static final long MAX_SAMPLE_BYTES = 64 << 20;

  /** A sealed file, and what it must open to. */
  private record Sealed(Path file, EncryptionContext context, String plaintextDigest) {}

  private final EnvelopeCipher cipher;
  private final Path input;
  private final String name;
  private final Path output;
  private final FolderListing listing;
  private final Figures figures = new Figures("files");
  private final List<Sealed> sealed = new ArrayList<>();

  private FolderPart(EnvelopeCipher cipher, Path input, Path output, FolderListing listing) {
    this.cipher = cipher;
    this.input = input;
    this.name = output.getFileName().toString();
    this.output = output;
    this.listing = listing;
  }

  /** Makes a part of a folder, or of one file that then counts as a folder of its own. */
  static FolderPart of(EnvelopeCipher cipher, Path input, Path output, Path workDirectory)
      throws IOException {
    return new FolderPart(cipher, input, output, FolderListing.of(input, workDirectory));
  }

  @Override
  public EnvelopeCipher cipher() {
    return cipher;
  }

  @Override
  public Figures figures() {
    return figures;
  }

  @Override
  public boolean check(Terminal terminal) {
    figures.messages = listing.entries().size();
    figures.plaintextBytes = listing.entries().stream().mapToLong(FolderListing.Entry::bytes).sum();
    terminal.say(
        "  %s: %s, %s",
        input, Figures.count(figures.messages, "files"), Figures.bytes(figures.plaintextBytes));
    listing.skipped().forEach(file -> terminal.warn("  skipped %s", file));
    listing.unreadable().forEach(file -> terminal.warn("  LEFT OUT %s", file));
    return listing.unreadable().isEmpty();
  }

  @Override
  public void encrypt(Terminal terminal) throws IOException {
    try (ProgressBar bar = terminal.progress("encrypt", figures.plaintextBytes)) {
      figures.plaintextBytes = 0;
      figures.timeEncrypt(
          () -> {
            for (FolderListing.Entry entry : listing.entries()) {
              encrypt(entry, bar);
            }
          });
    }
  }

  private void encrypt(FolderListing.Entry entry, ProgressBar bar) throws IOException {
    EncryptionContext context = EncryptionContext.of("folder", name, "path", entry.path());
    MessageDigest digest = Digests.sha256();
    Path target = output.resolve(entry.path() + SUFFIX);
    try (InputStream in = bar.counting(Files.newInputStream(entry.file()));
        AtomicFile file = AtomicFile.create(target)) {
      figures.plaintextBytes +=
          cipher.encrypt(new DigestInputStream(in, digest), file.out(), context);
      file.commit();
    }
    figures.sealedBytes += Files.size(target);
    sealed.add(new Sealed(target, context, Digests.hex(digest)));
  }

  @Override
  public void open(Terminal terminal) throws IOException {
    try (ProgressBar bar = terminal.progress("open", figures.sealedBytes)) {
      figures.timeOpen(
          () -> {
            for (Sealed file : sealed) {
              open(file, bar);
            }
          });
    }
  }

  private void open(Sealed file, ProgressBar bar) throws IOException {
    MessageDigest digest = Digests.sha256();
    try (InputStream in = bar.counting(Files.newInputStream(file.file()))) {
      OutputStream out = new DigestOutputStream(OutputStream.nullOutputStream(), digest);
      cipher.decrypt(in, out, file.context());
    }
    if (!Digests.hex(digest).equals(file.plaintextDigest())) {
      throw new IOException(file.file() + " does not open to what was encrypted");
    }
  }

  @Override
  public void rewrap(Terminal terminal) throws IOException {
    try (ProgressBar bar = terminal.progress("rewrap", sealed.size())) {
      figures.timeRewrap(
          () -> {
            for (Sealed file : sealed) {
              InPlaceRewrap.rewrap(cipher, file.file());
              bar.advance(1);
            }
          });
    }
  }

  @Override
  public Payloads payloads(Terminal terminal) throws IOException {
    Payloads payloads = new Payloads();
    try (ProgressBar bar = terminal.progress("compare", figures.sealedBytes)) {
      for (Sealed file : sealed) {
        try (InputStream in = bar.counting(Files.newInputStream(file.file()))) {
          payloads.add(InPlaceRewrap.header(file.file()), in);
        }
      }
    }
    return payloads;
  }

  @Override
  public Optional<Sample> sample() throws IOException {
    for (Sealed file : sealed) {
      if (Files.size(file.file()) <= MAX_SAMPLE_BYTES) {
        byte[] envelope = Files.readAllBytes(file.file());
        return Optional.of(new Sample(envelope, file.context(), "path"));
      }
    }
    return Optional.empty();
  }
}
