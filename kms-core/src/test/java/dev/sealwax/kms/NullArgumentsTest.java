package dev.sealwax.kms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import dev.sealwax.kms.envelope.DataKeyPolicy;
import dev.sealwax.kms.envelope.SplitEnvelope;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rewrap.Inventory;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.QuorumRootKey;
import dev.sealwax.kms.rootkey.ResilientRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.JdbcKeysetStore;
import dev.sealwax.kms.store.JdbcSchema;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
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

  @TempDir private Path directory;
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
      Map<Class<?>, Object> values = values(kms, rootKey, sealingKey);
      for (Class<?> type : publicTypes()) {
        Object instance = values.get(type);
        for (Method method : type.getDeclaredMethods()) {
          boolean isStatic = Modifier.isStatic(method.getModifiers());
          if (Modifier.isPublic(method.getModifiers())
              && !method.isSynthetic()
              && !UNCHECKED.contains(method.getName())
              && (isStatic || instance != null)) {
            callWithNulls(method, isStatic ? null : instance, values);
          }
        }
      }
    }
    assertEquals(List.of(), problems);
    assertTrue(tried > 100, "tried only " + tried);
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
  private Map<Class<?>, Object> values(Kms kms, LocalRootKey rootKey, KeyMaterial sealingKey) {
    Map<Class<?>, Object> values = new LinkedHashMap<>();
    byte[] envelope = kms.envelopeCipher("orders").encrypt(new byte[3], EncryptionContext.empty());
    InMemoryKeysetStore store = InMemoryKeysetStore.create();
    StoredKeyset stored = new StoredKeyset(KeysetId.of("orders"), 1, "{\"revision\":1}");
    List<Object> all =
        List.of(
            kms,
            Kms.builder(),
            kms.keysets(),
            kms.keysets().get("orders"),
            kms.keysets().get("orders").versions().get(0),
            kms.envelopeCipher("orders"),
            rootKey,
            store,
            stored,
            sealingKey,
            EncryptionContext.of("row", "1"),
            KeysetTemplate.defaults(),
            DataKeyPolicy.defaults(),
            CachePolicy.none(),
            SplitEnvelope.of(envelope),
            Inventory.ofClaims(),
            kms.rewrapper("orders"),
            RootKeyId.of("local:00"),
            WrappedKey.of(RootKeyId.of("local:00"), new byte[9]),
            KeysetId.of("orders"),
            JdbcSchema.H2,
            ResilientRootKey.builder(rootKey),
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
    values.put(Path.class, directory.resolve("none"));
    values.put(Clock.class, Clock.systemUTC());
    values.put(Map.class, Map.of());
    values.put(List.class, List.of());
    values.put(String[].class, new String[] {"a", "b"});
    values.put(RootKey[].class, new RootKey[0]);
    return values;
  }

  private void callWithNulls(Method method, Object instance, Map<Class<?>, Object> values)
      throws IllegalAccessException {
    Class<?>[] types = method.getParameterTypes();
    for (int i = 0; i < types.length; i++) {
      boolean nullable = method.getAnnotatedParameterTypes()[i].isAnnotationPresent(Nullable.class);
      if (!types[i].isPrimitive() && !nullable) {
        Object[] arguments = Arrays.stream(types).map(type -> value(type, values)).toArray();
        arguments[i] = null;
        tried++;
        Throwable thrown = null;
        try {
          method.invoke(instance, arguments);
        } catch (InvocationTargetException e) {
          thrown = e.getCause();
        }
        // The JVM's own messages name what could not be called; ours are the name alone.
        if (!(thrown instanceof NullPointerException)
            || thrown.getMessage() == null
            || thrown.getMessage().startsWith("Cannot ")) {
          problems.add(method.toGenericString() + " argument " + i + ": " + thrown);
        }
      }
    }
  }

  private static Object value(Class<?> type, Map<Class<?>, Object> values) {
    if (type.isPrimitive()) {
      return type == int.class ? (Object) 1 : type == long.class ? (Object) 1L : (Object) false;
    }
    Object value = values.get(type);
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
