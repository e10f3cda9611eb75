package dev.sealwax.kms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import dev.sealwax.kms.cache.TestTimer;
import dev.sealwax.kms.envelope.DataKeyPolicy;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeCiphers;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.envelope.SplitEnvelope;
import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.keyset.Background;
import dev.sealwax.kms.keyset.KeyUse;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.keyset.LegalHold;
import dev.sealwax.kms.keyset.OpenKeyset;
import dev.sealwax.kms.keyset.OpenKeysets;
import dev.sealwax.kms.keyset.RotationPolicy;
import dev.sealwax.kms.keyset.ScheduledChange;
import dev.sealwax.kms.rewrap.CheckpointFile;
import dev.sealwax.kms.rewrap.DirectoryEnvelopeSource;
import dev.sealwax.kms.rewrap.EnvelopeRecord;
import dev.sealwax.kms.rewrap.HeaderChange;
import dev.sealwax.kms.rewrap.Inventory;
import dev.sealwax.kms.rewrap.InventoryReport;
import dev.sealwax.kms.rewrap.JdbcEnvelopeSource;
import dev.sealwax.kms.rewrap.RewrapListener;
import dev.sealwax.kms.rewrap.RewrapProgress;
import dev.sealwax.kms.rewrap.RewrapProgressBar;
import dev.sealwax.kms.rewrap.RewrapReport;
import dev.sealwax.kms.rewrap.Rewrapper;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.QuorumRootKey;
import dev.sealwax.kms.rootkey.ResilientRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.RoutingRootKey;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.JdbcKeysetStore;
import dev.sealwax.kms.store.ResilientKeysetStore;
import dev.sealwax.kms.store.WriteSignal;
import dev.sealwax.kms.testkit.ForwardingRootKey;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.GuardPolicy;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsException;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Queue;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.h2.jdbcx.JdbcDataSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Printing anything of the public API shows neither a key nor a value of a context. */
class RedactionTest {
  private static final String CUSTOMER = "Ottilie-Beispiel-4711";
  private static final EncryptionContext CONTEXT = EncryptionContext.of("customer", CUSTOMER);

  @TempDir Path directory;

  /** Remembers the secrets that pass through it. */
  private static final class Spy extends ForwardingRootKey {
    private final List<byte[]> secrets = new ArrayList<>();

    Spy(RootKey target) {
      super(target);
    }

    @Override
    public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
      secrets.add(key.use(byte[]::clone));
      return super.wrap(key, context);
    }

    @Override
    public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
      KeyMaterial key = super.unwrap(wrapped, context);
      secrets.add(key.use(byte[]::clone));
      return key;
    }
  }

  @Test
  void everyPublicType_printsNoKeyAndNoContextValue() throws Exception {
    List<byte[]> secrets = new ArrayList<>();
    List<Object> things = new ArrayList<>();
    collect(secrets, things);

    assertTrue(secrets.size() >= 4);
    for (Object thing : things) {
      String text = thing.toString();
      assertFalse(text.contains(CUSTOMER), () -> thing.getClass() + " prints a context value");
      for (byte[] secret : secrets) {
        for (String form : forms(secret)) {
          assertFalse(
              text.toLowerCase(Locale.ROOT).contains(form.toLowerCase(Locale.ROOT)),
              () -> thing.getClass() + " prints a key");
        }
      }
    }
    assertEquals(
        Set.of(), missing(things), "public types that no instance was made of: add them here");
  }

  /** A job over a directory with one envelope, one forgery of it, and a table. */
  private void collectRewrap(Kms kms, byte[] envelope, JdbcDataSource database, List<Object> things)
      throws Exception {
    Path files = Files.createDirectory(directory.resolve("files"));
    Files.write(files.resolve("good"), envelope);
    byte[] forged = envelope.clone();
    forged[40] ^= 1;
    Files.write(files.resolve("forged"), forged);
    try (Connection connection = database.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute("CREATE TABLE t (id INT PRIMARY KEY, sealed VARBINARY(1000))");
    }
    DirectoryEnvelopeSource source = DirectoryEnvelopeSource.of(files);
    EnvelopeRecord record = EnvelopeRecord.of("good", envelope);
    CheckpointFile checkpoint = CheckpointFile.at(directory.resolve("checkpoint"));
    Rewrapper.Builder builder =
        kms.rewrapper("orders")
            .source(source)
            .checkpoint(checkpoint)
            .listener(
                new RewrapListener() {
                  @Override
                  public void onProgress(RewrapProgress progress) {
                    things.add(progress);
                  }
                });
    Rewrapper rewrapper = builder.build();
    RewrapReport report = rewrapper.run();
    Inventory inventory = Inventory.ofClaims();
    InventoryReport counted = inventory.count(List.of(source));
    things.addAll(
        List.of(
            source,
            JdbcEnvelopeSource.of(database, "t", "sealed"),
            record,
            new HeaderChange(record, Arrays.copyOf(envelope, 88)),
            checkpoint,
            builder,
            rewrapper,
            report,
            report.counts(),
            report.versions().get(0),
            report.failures().get(0),
            report.mayDestroy("orders", 1),
            RewrapProgressBar.asLines(new StringBuilder()),
            inventory,
            counted,
            counted.rows().get(0)));
  }

  /** Part of a key is bad enough: the first 9 bytes in each of the ways to write bytes. */
  private static List<String> forms(byte[] secret) {
    byte[] start = Arrays.copyOf(secret, 9);
    String numbers = Arrays.toString(start);
    return List.of(
        HexFormat.of().formatHex(start),
        HexFormat.ofDelimiter(":").formatHex(start),
        Base64.getEncoder().encodeToString(start),
        Base64.getUrlEncoder().encodeToString(start),
        numbers.substring(1, numbers.length() - 1),
        new String(start, StandardCharsets.ISO_8859_1));
  }

  private void collect(List<byte[]> secrets, List<Object> things) throws Exception {
    byte[] sealingBytes = new byte[32];
    SecureRandom random = new SecureRandom();
    random.nextBytes(sealingBytes);
    secrets.add(sealingBytes);
    KeyMaterial sealingKey = KeyMaterial.copyOf(sealingBytes);
    LocalRootKey local = LocalRootKey.create(directory.resolve("root.key"), sealingKey);
    Spy root = new Spy(local);
    InMemoryKeysetStore store = InMemoryKeysetStore.create();
    Queue<KmsEvent> events = new ConcurrentLinkedQueue<>();
    Kms.Builder builder = Kms.builder().rootKey(root).store(store).listener(events::add);
    Kms kms = builder.build();
    Background threads =
        new Background(
            System::nanoTime, Runnable::run, Runnable::run, task -> {}, TestTimer.SHARED);
    OpenKeysets open =
        OpenKeysets.open(
            store,
            root,
            CachePolicy.none(),
            Duration.ofDays(1),
            Clock.systemUTC(),
            threads,
            random,
            null);
    KeysetTemplate template = KeysetTemplate.defaults().withOwner("team");
    Keyset keyset = kms.keysets().create("orders", template);
    kms.keysets().rotate("orders");
    KeysetId id = KeysetId.of("orders");
    OpenKeyset openKeyset = open.open(id);
    EnvelopeCipher cipher = kms.envelopeCipher("orders");
    byte[] envelope = cipher.encrypt(new byte[32], CONTEXT);
    QuorumRootKey.Builder several = QuorumRootKey.builder().member(local);
    QuorumRootKey quorum = several.build();
    things.addAll(
        List.of(several, quorum, quorum.health().get(0), RootKeyRule.any().requiring("zone=eu")));
    ResilientRootKey guarded = ResilientRootKey.around(local);
    things.add(ResilientKeysetStore.around(InMemoryKeysetStore.create()));
    things.addAll(
        List.of(
            sealingKey,
            local,
            RoutingRootKey.of(local),
            GuardPolicy.defaults(),
            guarded,
            guarded.health(),
            local.currentKeyId(),
            store,
            builder,
            kms,
            open,
            openKeyset,
            kms.keysets(),
            template,
            RotationPolicy.defaults(),
            new LegalHold(Instant.EPOCH, "case 7"),
            new ScheduledChange(id, ScheduledChange.Outcome.MISSED, 0, null),
            keyset,
            keyset.versions().get(0),
            id,
            cipher,
            EnvelopeInfo.inspect(envelope),
            SplitEnvelope.of(envelope),
            CONTEXT,
            DataKeyPolicy.defaults(),
            new Announcer(event -> {}),
            threads,
            store.position(),
            store.changesAfter(store.position()),
            CachePolicy.none(),
            kms.statistics(),
            kms.statistics().envelopes(),
            kms.statistics().keyVersions()));
    ScheduledThreadPoolExecutor unused = new ScheduledThreadPoolExecutor(1);
    unused.shutdown();
    things.add(WriteSignal.create());
    things.add(open.startScheduler(unused, Duration.ofDays(1), change -> {}, null));
    things.add(new EnvelopeCiphers(open, DataKeyPolicy.defaults(), threads, random, null));
    JdbcDataSource database = new JdbcDataSource();
    database.setUrl("jdbc:h2:mem:redaction;DB_CLOSE_DELAY=-1");
    database.setPassword("database password");
    JdbcKeysetStore.createTables(database);
    things.add(JdbcKeysetStore.builder(database));
    things.add(JdbcKeysetStore.open(database));
    collectRewrap(kms, envelope, database, things);
    things.add(FileKeysetStore.at(Files.createDirectory(directory.resolve("keysets"))));
    things.add(store.load(id).orElseThrow());
    things.add(cipher.encryptingStream(new ByteArrayOutputStream(), CONTEXT));
    things.add(local.wrap(sealingKey, CONTEXT));
    openKeyset.withKeyEncryptionKey(
        openKeyset.snapshot(0),
        1,
        KeyUse.DECRYPT,
        (kek, consent) -> things.addAll(List.of(kek, consent)));
    things.add(
        assertThrows(
            DecryptionFailedException.class,
            () -> cipher.decrypt(envelope, EncryptionContext.of("customer", CUSTOMER + "?"))));
    // Other failures of the library are looked at in KmsExceptionTest, message by message.
    things.addAll(events);
    secrets.addAll(root.secrets);
    root.secrets.forEach(s -> secrets.add(Arrays.copyOfRange(s, 32, 64)));
  }

  private static Set<String> missing(List<Object> things) {
    Set<String> seen =
        things.stream().map(thing -> thing.getClass().getName()).collect(Collectors.toSet());
    Set<String> missing = new TreeSet<>();
    for (JavaClass type :
        new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("dev.sealwax.kms")) {
      boolean hasInstances =
          type.getModifiers().contains(JavaModifier.PUBLIC)
              && !type.isInterface()
              && !type.isEnum()
              && !type.getModifiers().contains(JavaModifier.ABSTRACT)
              && !type.isAssignableTo(KmsException.class);
      boolean hidden =
          Stream.of(".crypto", ".cache", ".guard").anyMatch(type.getPackageName()::endsWith);
      if (hasInstances && !hidden && !seen.contains(type.getName())) {
        missing.add(type.getName());
      }
    }
    return missing;
  }
}
