package dev.sealwax.kms.examples;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.rewrap.DirectoryEnvelopeSource;
import dev.sealwax.kms.rewrap.EnvelopeSource;
import dev.sealwax.kms.rewrap.RewrapFailure;
import dev.sealwax.kms.rewrap.RewrapListener;
import dev.sealwax.kms.rewrap.RewrapProgress;
import dev.sealwax.kms.rewrap.RewrapReport;
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
import java.util.Arrays;
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

  private final Kms kms;
  private final EnvelopeCipher cipher;
  private final Path input;
  private final String name;
  private final Path output;
  private final FolderListing listing;
  private final PartFigures figures = new PartFigures("files");
  private final List<Sealed> sealed = new ArrayList<>();

  private FolderPart(Kms kms, Path input, Path output, FolderListing listing) {
    this.kms = kms;
    this.cipher = kms.envelopeCipher(FirstRun.FILES);
    this.input = input;
    this.name = output.getFileName().toString();
    this.output = output;
    this.listing = listing;
  }

  /** Makes a part of a folder, or of one file that then counts as a folder of its own. */
  static FolderPart of(Kms kms, Path input, Path output, Path workDirectory) throws IOException {
    return new FolderPart(kms, input, output, FolderListing.of(input, workDirectory));
  }

  @Override
  public EnvelopeCipher cipher() {
    return cipher;
  }

  @Override
  public PartFigures figures() {
    return figures;
  }

  @Override
  public boolean check(Terminal terminal) {
    figures.messages = listing.entries().size();
    figures.plaintextBytes = listing.entries().stream().mapToLong(FolderListing.Entry::bytes).sum();
    terminal.say(
        "  %s: %s, %s",
        input,
        PartFigures.count(figures.messages, "files"),
        PartFigures.bytes(figures.plaintextBytes));
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
    if (sealed.isEmpty()) {
      return;
    }
    try (ProgressBar bar = terminal.progress("rewrap", sealed.size());
        EnvelopeSource source =
            DirectoryEnvelopeSource.of(output, file -> file.toString().endsWith(SUFFIX))) {
      figures.timeRewrap(() -> rewrap(source, bar));
    }
  }

  private void rewrap(EnvelopeSource source, ProgressBar bar) throws IOException {
    RewrapListener listener =
        new RewrapListener() {
          private long told;

          @Override
          public void onProgress(RewrapProgress progress) {
            bar.advance(progress.counts().scanned() - told);
            told = progress.counts().scanned();
          }
        };
    RewrapReport report =
        kms.rewrapper(FirstRun.FILES)
            .source(source)
            .listener(listener)
            .batchSize(100)
            .build()
            .run();
    if (!report.failures().isEmpty()) {
      RewrapFailure first = report.failures().get(0);
      throw new IOException(
          String.format(
              "%,d of the files in %s cannot be rewrapped, the first is %s (%s)",
              report.counts().failed(), output, first.recordId(), first.reason()));
    }
    if (report.counts().scanned() < sealed.size()) {
      throw new IOException("files have disappeared from " + output);
    }
  }

  private static byte[] header(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] start = in.readNBytes(EnvelopeInfo.MAX_HEADER_BYTES);
      return Arrays.copyOf(start, EnvelopeInfo.inspect(start).headerLengthBytes());
    }
  }

  @Override
  public Payloads payloads(Terminal terminal) throws IOException {
    Payloads payloads = new Payloads();
    try (ProgressBar bar = terminal.progress("compare", figures.sealedBytes)) {
      for (Sealed file : sealed) {
        try (InputStream in = bar.counting(Files.newInputStream(file.file()))) {
          payloads.add(header(file.file()), in);
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
