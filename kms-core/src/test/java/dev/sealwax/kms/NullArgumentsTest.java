package dev.sealwax.kms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import dev.sealwax.kms.envelope.DataKeyPolicy;
import dev.sealwax.kms.envelope.SplitEnvelope;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.keyset.RotationPolicy;
import dev.sealwax.kms.rewrap.CheckpointFile;
import dev.sealwax.kms.rewrap.DirectoryEnvelopeSource;
import dev.sealwax.kms.rewrap.EnvelopeRecord;
import dev.sealwax.kms.rewrap.HeaderChange;
import dev.sealwax.kms.rewrap.Inventory;
import dev.sealwax.kms.rewrap.JdbcEnvelopeSource;
import dev.sealwax.kms.rewrap.RewrapProgressBar;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.QuorumRootKey;
import dev.sealwax.kms.rootkey.ResilientRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.RoutingRootKey;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.JdbcKeysetStore;
import dev.sealwax.kms.store.JdbcSchema;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.store.WatchableKeysetStore;
import dev.sealwax.kms.store.WriteSignal;
import dev.sealwax.kms.testkit.ForwardingRootKey;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.GuardPolicy;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.h2.jdbcx.JdbcDataSource;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A null is refused at once, by its name, wherever the API takes a reference. */
@Timeout(value = 120, unit = TimeUnit.SECONDS)
class NullArgumentsTest {
  private static final Set<String> FOR_THE_FACADE =
      Set.of("OpenKeysets", "EnvelopeCiphers", "OpenKeyset", "KeyEncryptionKey", "Background");

  /** Beside equals and compareTo, whose nulls are the JDK's matter: what runs for every message. */
  private static final Set<String> UNCHECKED =
      Set.of("equals", "compareTo", "requireUse", "authenticateWith");

  /** Interfaces for others to implement: nothing of ours would refuse a null. */
  private static final Set<String> CALLED_BY_US =
      Set.of(
          "EnvelopeCheck",
          "EnvelopeContexts",
          "KmsListener",
          "RewrapListener",
          "SchedulerListener",
          "SigningKey",
          "SigningRootKey",
          "VersionUse",
          "WholeEnvelopeSource$Replacement");

  /** Answers, which nobody but Sealwax makes. */
  private static final Set<String> MADE_BY_US =
      Set.of(
          "CacheStatistics",
          "DestructionVerdict",
          "EnvelopeInfo",
          "EnvelopeStatistics",
          "GuardHealth",
          "InventoryReport",
          "InventoryReport$Row",
          "KmsStatistics",
          "QuorumRootKey$MemberHealth",
          "RewrapCounts",
          "RewrapFailure",
          "RewrapProgress",
          "ScheduledChange",
          "VersionCount");

  @TempDir private Path directory;
  private final Set<String> skipped = new TreeSet<>();
  private final Set<String> unmade = new TreeSet<>();
  private final List<String> problems = new ArrayList<>();
  private int tried;

  @Test
  void publicMethods_nameTheArgumentThatIsNull() throws Exception {
    KeyMaterial sealingKey = KeyMaterial.copyOf(new byte[32]);
    LocalRootKey rootKey = LocalRootKey.create(directory.resolve("root.key"), sealingKey);
    FileKeysetStore files = FileKeysetStore.at(directory.resolve("keysets"));
    Kms kms = Kms.builder().rootKey(rootKey).store(files).build();
    try (kms) {
      kms.keysets().create("orders", KeysetTemplate.defaults());
      Map<Class<?>, Object> values = values(kms, rootKey, files, sealingKey);
      for (Class<?> type : publicTypes()) {
        tryMethods(type, values);
        tryConstructors(type, values);
      }
      List<Object> owned = List.of(kms, rootKey, files, sealingKey); // the Kms closes its own
      for (Object value : List.copyOf(values.values())) {
        if (value instanceof AutoCloseable closeable && !owned.contains(value)) {
          closeable.close();
        }
      }
    }
    assertEquals(List.of(), problems);
    assertEquals(new TreeSet<>(CALLED_BY_US), skipped, "types whose methods were not tried");
    assertEquals(new TreeSet<>(MADE_BY_US), unmade, "types whose constructors were not tried");
    assertTrue(tried > 300, "tried only " + tried);
  }

  private void tryMethods(Class<?> type, Map<Class<?>, Object> values)
      throws IllegalAccessException {
    Object instance = CALLED_BY_US.contains(nameOf(type)) ? null : fakeless(type, values);
    for (Method method : type.getDeclaredMethods()) {
      boolean isStatic = Modifier.isStatic(method.getModifiers());
      if (Modifier.isPublic(method.getModifiers())
          && !method.isSynthetic()
          && !UNCHECKED.contains(method.getName())) {
        if (isStatic || instance != null) {
          Object target = isStatic ? null : instance;
          callWithNulls(method, values, arguments -> method.invoke(target, arguments));
        } else if (!references(method).isEmpty()) {
          skipped.add(nameOf(type));
        }
      }
    }
  }

  private void tryConstructors(Class<?> type, Map<Class<?>, Object> values)
      throws IllegalAccessException {
    for (Constructor<?> constructor : type.getConstructors()) {
      if (MADE_BY_US.contains(nameOf(type))) {
        unmade.add(nameOf(type));
      } else {
        callWithNulls(constructor, values, constructor::newInstance);
      }
    }
  }

  /** With the outer class, where there is one. */
  private static String nameOf(Class<?> type) {
    return type.getName().substring(type.getPackageName().length() + 1);
  }

  private static Set<Class<?>> publicTypes() throws ClassNotFoundException {
    Set<Class<?>> types = new TreeSet<>((a, b) -> a.getName().compareTo(b.getName()));
    for (var type :
        new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("dev.sealwax.kms")) {
      Class<?> loaded = Class.forName(type.getName(), false, Kms.class.getClassLoader());
      if (Modifier.isPublic(loaded.getModifiers())
          && !loaded.isEnum()
          && NullArgumentsTest.class.getModule().equals(loaded.getModule())
          && Stream.of(".guard.", ".cache.", ".events.", ".crypto.")
              .noneMatch(hidden -> loaded.getName().contains(hidden))
          && !FOR_THE_FACADE.contains(loaded.getSimpleName())) {
        types.add(loaded);
      }
    }
    types.add(JdbcSchema.class);
    return types;
  }

  /** An instance of every type that a parameter or a method of an instance needs. */
  private Map<Class<?>, Object> values(
      Kms kms, LocalRootKey rootKey, FileKeysetStore files, KeyMaterial sealingKey)
      throws IOException {
    Map<Class<?>, Object> values = new LinkedHashMap<>();
    byte[] envelope = kms.envelopeCipher("orders").encrypt(new byte[3], EncryptionContext.empty());
    InMemoryKeysetStore store = InMemoryKeysetStore.create();
    StoredKeyset stored = new StoredKeyset(KeysetId.of("orders"), 1, "{\"revision\":1}");
    JdbcDataSource database = new JdbcDataSource();
    database.setURL("jdbc:h2:mem:nulls;DB_CLOSE_DELAY=-1");
    JdbcKeysetStore.createTables(database);
    createTable(database);
    CheckpointFile checkpoint = CheckpointFile.at(directory.resolve("checkpoint"));
    EnvelopeRecord record = EnvelopeRecord.of("1", envelope);
    DirectoryEnvelopeSource source =
        DirectoryEnvelopeSource.of(Files.createDirectory(directory.resolve("envelopes")));
    WatchableKeysetStore.Position position = store.position();
    List<Object> all =
        List.of(
            kms,
            RotationPolicy.defaults(),
            checkpoint,
            kms.rewrapper("orders").source(source).checkpoint(checkpoint).build().run(),
            RewrapProgressBar.asLines(new StringBuilder()),
            source,
            record,
            new HeaderChange(record, envelope),
            JdbcEnvelopeSource.of(database, "envelopes", "envelope"),
            JdbcKeysetStore.open(database),
            RoutingRootKey.of(new ForwardingRootKey(rootKey) {}),
            QuorumRootKey.builder().member(new ForwardingRootKey(rootKey) {}).build(),
            ResilientRootKey.around(new ForwardingRootKey(rootKey) {}),
            WriteSignal.create(),
            position,
            kms.envelopeCipher("orders")
                .encryptingStream(OutputStream.nullOutputStream(), EncryptionContext.empty()),
            Kms.builder(),
            kms.keysets(),
            kms.keysets().get("orders"),
            kms.keysets().get("orders").versions().get(0),
            kms.envelopeCipher("orders"),
            rootKey,
            files,
            store,
            stored,
            sealingKey,
            EncryptionContext.of("row", "1"),
            KeysetTemplate.defaults(),
            DataKeyPolicy.defaults(),
            CachePolicy.none(),
            GuardPolicy.defaults(),
            SplitEnvelope.of(envelope),
            Inventory.ofClaims(),
            kms.rewrapper("orders"),
            RootKeyId.of("local:00"),
            WrappedKey.of(RootKeyId.of("local:00"), new byte[9]),
            KeysetId.of("orders"),
            JdbcSchema.H2,
            QuorumRootKey.builder().member(rootKey),
            RootKeyRule.any(),
            JdbcKeysetStore.builder(fake(javax.sql.DataSource.class)),
            Duration.ofDays(20),
            Instant.parse("2099-01-01T00:00:00Z"),
            new SecureRandom(),
            envelope,
            "orders",
            "a passphrase that is long".toCharArray());
    all.forEach(value -> values.put(value.getClass(), value));
    values.put(RootKey.class, rootKey);
    values.put(KeysetStore.class, store);
    values.put(EncryptionContext.class, EncryptionContext.of("row", "1"));
    values.put(InputStream.class, InputStream.nullInputStream());
    values.put(OutputStream.class, OutputStream.nullOutputStream());
    values.put(Exception.class, new IOException());
    values.put(Throwable.class, new IOException());
    values.put(Set.class, Set.of());
    values.put(Optional.class, Optional.empty());
    values.put(Path.class, directory.resolve("none"));
    values.put(Clock.class, Clock.systemUTC());
    values.put(Map.class, Map.of());
    values.put(List.class, List.of());
    values.put(String[].class, new String[] {"a", "b"});
    values.put(RootKey[].class, new RootKey[0]);
    return values;
  }

  /** How to call a method or a constructor. */
  private interface Call {
    Object with(Object[] arguments)
        throws IllegalAccessException, InvocationTargetException, InstantiationException;
  }

  /** The places of the arguments that must not be null. */
  private static List<Integer> references(Executable executable) {
    Class<?>[] types = executable.getParameterTypes();
    List<Integer> places = new ArrayList<>();
    for (int i = 0; i < types.length; i++) {
      // A text that is missing must not take the place of the failure that it should describe.
      boolean describes =
          types[i] == String.class
              && Throwable.class.isAssignableFrom(executable.getDeclaringClass());
      if (!types[i].isPrimitive()
          && !describes
          && !executable.getAnnotatedParameterTypes()[i].isAnnotationPresent(Nullable.class)) {
        places.add(i);
      }
    }
    return places;
  }

  private void callWithNulls(Executable executable, Map<Class<?>, Object> values, Call call)
      throws IllegalAccessException {
    Class<?>[] types = executable.getParameterTypes();
    for (int i : references(executable)) {
      Object[] arguments = Arrays.stream(types).map(type -> value(type, values)).toArray();
      arguments[i] = null;
      requireNamed(executable.toGenericString() + " argument " + i, call, arguments);
      if (executable.isVarArgs() && i == types.length - 1) {
        Object[] given = (Object[]) value(types[i], values);
        Object[] elements = Arrays.copyOf(given, Math.max(1, given.length));
        elements[elements.length - 1] = null;
        arguments[i] = elements;
        requireNamed(executable.toGenericString() + " element of argument " + i, call, arguments);
      }
    }
  }

  private void requireNamed(String what, Call call, Object[] arguments)
      throws IllegalAccessException {
    tried++;
    Throwable thrown = null;
    try {
      call.with(arguments);
    } catch (InvocationTargetException e) {
      thrown = e.getCause();
    } catch (InstantiationException e) {
      thrown = e;
    }
    // The JVM's own messages name what could not be called; ours are the name alone.
    if (!(thrown instanceof NullPointerException)
        || thrown.getMessage() == null
        || thrown.getMessage().startsWith("Cannot ")) {
      problems.add(what + ": " + thrown);
    }
  }

  private static void createTable(JdbcDataSource database) {
    try (Connection connection = database.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute("CREATE TABLE envelopes (id INT PRIMARY KEY, envelope VARBINARY(1000))");
    } catch (SQLException e) {
      throw new AssertionError(e);
    }
  }

  private static Object value(Class<?> type, Map<Class<?>, Object> values) {
    if (type.isPrimitive()) {
      return type == int.class ? (Object) 1 : type == long.class ? (Object) 1L : (Object) false;
    }
    Object value = values.get(type);
    if (value == null && type.isEnum()) {
      return type.getEnumConstants()[0];
    }
    return value != null ? value : type.isInterface() ? fake(type) : fakeless(type, values);
  }

  private static Object fakeless(Class<?> type, Map<Class<?>, Object> values) {
    return values.values().stream().filter(type::isInstance).findFirst().orElse(null);
  }

  private static <T> T fake(Class<T> type) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (proxy, method, arguments) -> {
              throw new UnsupportedOperationException(method.getName());
            }));
  }
}
