package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.ReadOnlyFileSystemException;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class LocalRootKeyTest {
  /** The cheapest that OWASP allows: what a guess costs is no concern of these tests. */
  private static final Argon2Cost CHEAP = new Argon2Cost(7168, 5, 1);

  private static final String PASSPHRASE = "correct horse battery";
  private static final String FRESH = "another horse battery";
  private static final EncryptionContext CONTEXT = EncryptionContext.of("keyset", "orders");

  @TempDir Path directory;
  private Path file;

  @BeforeEach
  void name() {
    file = directory.resolve("root.key");
  }

  @Test
  void open_withThePassphrase_unwrapsWhatTheCreatorWrapped() {
    WrappedKey wrapped;
    RootKeyId id;
    try (RootKey created = LocalRootKey.create(file, PASSPHRASE.toCharArray(), CHEAP)) {
      id = created.currentKeyId();
      wrapped = wrap(created, "a secret");
    }
    try (RootKey opened = LocalRootKey.open(file, PASSPHRASE.toCharArray())) {
      assertEquals(id, opened.currentKeyId());
      assertEquals("a secret", unwrap(opened, wrapped));
    }
  }

  @Test
  void create_byPassphrase_usesTheDefaultCost() throws IOException {
    LocalRootKey.create(file, PASSPHRASE.toCharArray()).close();
    byte[] parameters = new byte[RootKeyFile.PARAMETERS_LEN];
    System.arraycopy(
        Files.readAllBytes(file), RootKeyFile.PARAMETERS_POS, parameters, 0, parameters.length);
    assertEquals(new Argon2Cost(65536, 3, 1), Argon2Cost.decode(parameters));
  }

  /** [LRK-10] */
  @Test
  void create_twice_sharesNothingBeyondTheHeader() throws IOException {
    Path second = directory.resolve("second.key");
    create(file).close();
    create(second).close();
    byte[] one = Files.readAllBytes(file);
    byte[] two = Files.readAllBytes(second);
    int same = 0;
    for (int i = RootKeyFile.ID_POS; i < one.length; i++) {
      same += one[i] == two[i] ? 1 : 0;
    }
    assertTrue(same < 16, same + " of 128 random bytes agree");
  }

  /** [LRK-11] */
  @Test
  void currentKeyId_namesSchemeAndId() throws IOException {
    try (RootKey created = create(file)) {
      String id = created.currentKeyId().value();
      assertTrue(id.matches("local:[0-9a-f]{32}"), id);
      assertEquals(LocalRootKey.SCHEME, created.currentKeyId().scheme());
    }
  }

  @Test
  void createAndOpen_leaveTheSecretsToTheCaller() {
    char[] passphrase = PASSPHRASE.toCharArray();
    LocalRootKey.create(file, passphrase, CHEAP).close();
    LocalRootKey.open(file, passphrase).close();
    assertArrayEquals(PASSPHRASE.toCharArray(), passphrase);
    try (KeyMaterial key = sealingKey(3)) {
      LocalRootKey.create(directory.resolve("second.key"), key).close();
      assertTrue(key.contentEquals(sealingKey(3)));
    }
  }

  /** [LRK-9] */
  @Test
  void open_withWrongPassphrase_isDeniedWithoutShowingIt() {
    LocalRootKey.create(file, PASSPHRASE.toCharArray(), CHEAP).close();
    RootKeyException refusal =
        assertFails(ACCESS_DENIED, () -> LocalRootKey.open(file, FRESH.toCharArray()));
    assertTrue(refusal.getMessage().contains("wrong passphrase"), refusal.getMessage());
    assertFalse(refusal.getMessage().contains(FRESH), refusal.getMessage());
  }

  @Test
  void open_withWrongSealingKey_isDenied() {
    create(file).close();
    assertFails(ACCESS_DENIED, () -> LocalRootKey.open(file, sealingKey(1)));
  }

  /** [LRK-7] */
  @ParameterizedTest
  @ValueSource(ints = {1, 16, 31, 33, 64})
  void createAndOpen_withSealingKeyOfAnotherLength_throw(int length) {
    create(file).close();
    KeyMaterial key = KeyMaterial.copyOf(new byte[length]);
    Path absent = directory.resolve("absent.key");
    assertThrows(IllegalArgumentException.class, () -> LocalRootKey.create(absent, key));
    assertThrows(IllegalArgumentException.class, () -> LocalRootKey.open(file, key));
    assertFalse(Files.exists(absent));
  }

  /** [LRK-12] */
  @Test
  void create_withShortPassphrase_writesNothing() throws IOException {
    assertThrows(IllegalArgumentException.class, () -> LocalRootKey.create(file, new char[0]));
    assertThrows(
        IllegalArgumentException.class,
        () -> LocalRootKey.create(file, "fourteen chars".toCharArray()));
    assertEquals(List.of(), entries());
  }

  /** [LRK-18] */
  @Test
  void open_ofMissingFile_isNotFoundAndCreatesNothing() throws IOException {
    assertFails(NOT_FOUND, () -> open(file));
    assertFails(NOT_FOUND, () -> LocalRootKey.open(file, PASSPHRASE.toCharArray()));
    assertEquals(List.of(), entries());
  }

  /** [LRK-18] */
  @Test
  void create_ofExistingFile_leavesItAlone() throws IOException {
    create(file).close();
    byte[] before = Files.readAllBytes(file);
    assertFails(UNSUPPORTED, () -> create(file));
    assertArrayEquals(before, Files.readAllBytes(file));
    assertEquals(List.of("root.key"), entries());
  }

  /** [LRK-18] */
  @Test
  void create_throughDanglingLink_leavesItAlone() throws IOException {
    Files.createSymbolicLink(file, directory.resolve("target.key"));
    assertFails(UNSUPPORTED, () -> create(file));
    assertEquals(List.of("root.key"), entries());
  }

  /** [LRK-18] [LRK-21]: exactly one of many creators wins, and the file is the winner's. */
  @Test
  void create_from16ThreadsAtOnce_letsOneWin() throws Exception {
    var pool = Executors.newFixedThreadPool(16);
    try {
      Callable<String> creator =
          () -> {
            try (RootKey created = create(file)) {
              return created.currentKeyId().value();
            } catch (RootKeyException e) {
              return e.reason().name();
            }
          };
      List<String> results =
          pool.invokeAll(IntStream.range(0, 16).mapToObj(i -> creator).toList()).stream()
              .map(LocalRootKeyTest::result)
              .toList();
      List<String> winners = results.stream().filter(r -> r.startsWith("local:")).toList();
      assertEquals(1, winners.size(), results.toString());
      assertEquals(15, results.stream().filter("UNSUPPORTED"::equals).count(), results.toString());
      try (RootKey opened = open(file)) {
        assertEquals(winners.get(0), opened.currentKeyId().value());
      }
      assertEquals(List.of("root.key"), entries());
    } finally {
      pool.shutdownNow();
    }
  }

  private static String result(Future<String> future) {
    try {
      return future.get();
    } catch (Exception e) {
      return e.toString();
    }
  }

  /** [LRK-19] */
  @Test
  void create_makesTheFileOwnerOnly() throws IOException {
    create(file).close();
    assertEquals("rw-------", mode());
  }

  /** [LRK-20] */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "rw-r-----",
        "rw--w----",
        "rw---x---",
        "rw----r--",
        "rw-----w-",
        "rw------x",
        "rw-rw-rw-"
      })
  void open_ofFileThatOthersMayAccess_isDeniedWithTheRemedy(String mode) throws IOException {
    create(file).close();
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(mode));
    RootKeyException refusal = assertFails(ACCESS_DENIED, () -> open(file));
    assertTrue(refusal.getMessage().contains("chmod 600 " + file), refusal.getMessage());
    assertFails(
        ACCESS_DENIED, () -> LocalRootKey.changeSealingKey(file, sealingKey(0), sealingKey(1)));
  }

  /** [LRK-20] */
  @Test
  void open_throughLink_judgesItsTarget() throws IOException {
    Path link = directory.resolve("link.key");
    Files.createSymbolicLink(link, file);
    create(file).close();
    open(link).close();
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
    assertFails(ACCESS_DENIED, () -> open(link));
  }

  /** [LRK-20] */
  @Test
  void open_ofDirectory_isNotFound() {
    assertFails(NOT_FOUND, () -> open(directory));
  }

  /** [LRK-20]: whoever opened the pipe first would wait for a writer for ever. */
  @Test
  void open_ofPipe_isNotFound() throws Exception {
    assertEquals(0, new ProcessBuilder("mkfifo", "-m", "600", file.toString()).start().waitFor());
    assertTimeoutPreemptively(
        Duration.ofSeconds(20), () -> assertFails(NOT_FOUND, () -> open(file)));
  }

  /** [LRK-1] */
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 8, 148, 150, 100_000})
  void open_ofFileOfAnotherLength_isInvalid(int length) throws IOException {
    create(file).close();
    byte[] bytes = Arrays.copyOf(Files.readAllBytes(file), length);
    Files.write(file, bytes);
    assertFails(INVALID_CIPHERTEXT, () -> open(file));
  }

  /** [LRK-8] */
  @Test
  void open_ofFileWithAnyByteChanged_isRefused() throws IOException {
    create(file).close();
    byte[] bytes = Files.readAllBytes(file);
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] ^= 0x55;
      Files.write(file, bytes);
      assertThrows(RootKeyException.class, () -> open(file), "byte " + i);
      bytes[i] ^= 0x55;
    }
    Files.write(file, bytes);
    open(file).close();
  }

  /** [LRK-5]: refused before any memory is touched, or this would not end. */
  @Test
  void open_ofFileThatAsksFor100GiB_isInvalid() throws IOException {
    LocalRootKey.create(file, PASSPHRASE.toCharArray(), CHEAP).close();
    byte[] bytes = Files.readAllBytes(file);
    ByteBuffer.wrap(bytes).putInt(RootKeyFile.PARAMETERS_POS, 100 * 1024 * 1024);
    Files.write(file, bytes);
    assertFails(INVALID_CIPHERTEXT, () -> LocalRootKey.open(file, PASSPHRASE.toCharArray()));
  }

  @Test
  void changePassphrase_keepsTheKeyAndShutsTheOldOut() throws IOException {
    WrappedKey wrapped;
    try (RootKey created = LocalRootKey.create(file, PASSPHRASE.toCharArray(), CHEAP)) {
      wrapped = wrap(created, "a secret");
    }
    byte[] before = Files.readAllBytes(file);
    LocalRootKey.changePassphrase(file, PASSPHRASE.toCharArray(), FRESH.toCharArray(), CHEAP);
    assertNotEquals(salt(before), salt(Files.readAllBytes(file)));
    assertFails(ACCESS_DENIED, () -> LocalRootKey.open(file, PASSPHRASE.toCharArray()));
    try (RootKey opened = LocalRootKey.open(file, FRESH.toCharArray())) {
      assertEquals("a secret", unwrap(opened, wrapped));
    }
    assertEquals(List.of("root.key"), entries());
  }

  private static ByteBuffer salt(byte[] file) {
    return ByteBuffer.wrap(file, RootKeyFile.SEALED_POS, SealedSecret.SALT_LEN);
  }

  /** [LRK-10] */
  @Test
  void changeSealingKey_everyTime_drawsAFreshSalt() throws IOException {
    create(file).close();
    LocalRootKey.changeSealingKey(file, sealingKey(0), sealingKey(0));
    byte[] once = Files.readAllBytes(file);
    LocalRootKey.changeSealingKey(file, sealingKey(0), sealingKey(0));
    assertNotEquals(salt(once), salt(Files.readAllBytes(file)));
  }

  @Test
  void changePassphrase_withWrongOldOrBadNew_changesNothing() throws IOException {
    LocalRootKey.create(file, PASSPHRASE.toCharArray(), CHEAP).close();
    byte[] before = Files.readAllBytes(file);
    assertFails(
        ACCESS_DENIED,
        () ->
            LocalRootKey.changePassphrase(
                file, FRESH.toCharArray(), PASSPHRASE.toCharArray(), CHEAP));
    assertThrows(
        IllegalArgumentException.class,
        () -> LocalRootKey.changePassphrase(file, PASSPHRASE.toCharArray(), new char[0], CHEAP));
    assertArrayEquals(before, Files.readAllBytes(file));
    assertEquals(List.of("root.key"), entries());
  }

  @Test
  void changePassphrase_ofMissingFile_isNotFound() {
    assertFails(
        NOT_FOUND,
        () ->
            LocalRootKey.changePassphrase(
                file, PASSPHRASE.toCharArray(), FRESH.toCharArray(), CHEAP));
  }

  /** [LRK-22] */
  @ParameterizedTest
  @ValueSource(strings = {"rw-------", "r--------"})
  void changeSealingKey_keepsTheMode(String mode) throws IOException {
    create(file).close();
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(mode));
    LocalRootKey.changeSealingKey(file, sealingKey(0), sealingKey(1));
    assertEquals(mode, mode());
    LocalRootKey.open(file, sealingKey(1)).close();
  }

  @Test
  void changeSealingKey_throughLink_keepsTheLink() throws IOException {
    create(file).close();
    Path link = Files.createSymbolicLink(directory.resolve("link.key"), file);
    LocalRootKey.changeSealingKey(link, sealingKey(0), sealingKey(1));
    assertTrue(Files.isSymbolicLink(link));
    LocalRootKey.open(file, sealingKey(1)).close();
  }

  /** [LRK-22]: for root, who may read it, would lock its owner out; told by attributes alone. */
  @Test
  void replace_ofAnotherUsersFile_isDenied() throws IOException {
    create(file).close();
    byte[] before = Files.readAllBytes(file);
    PosixFileAttributes own = Files.readAttributes(file, PosixFileAttributes.class);
    RootKeyException refusal =
        assertFails(
            ACCESS_DENIED,
            () -> OwnerOnlyFile.replace(file, new byte[1], ownedBy("somebody", own)));
    assertTrue(refusal.getMessage().contains("run this as somebody"), refusal.getMessage());
    assertArrayEquals(before, Files.readAllBytes(file));
    assertEquals(List.of("root.key"), entries());
    OwnerOnlyFile.replace(file, new byte[1], own);
    assertArrayEquals(new byte[1], Files.readAllBytes(file));
  }

  private static PosixFileAttributes ownedBy(String owner, PosixFileAttributes attributes) {
    UserPrincipal principal = () -> owner;
    return (PosixFileAttributes)
        Proxy.newProxyInstance(
            LocalRootKeyTest.class.getClassLoader(),
            new Class<?>[] {PosixFileAttributes.class},
            (proxy, method, args) ->
                method.getName().equals("owner") ? principal : method.invoke(attributes, args));
  }

  /** [LRK-23] */
  @Test
  void createAndOpen_withoutPosixPermissions_areUnsupported() throws IOException {
    try (FileSystem zip =
        FileSystems.newFileSystem(directory.resolve("a.zip"), Map.of("create", "true"))) {
      assertFails(UNSUPPORTED, () -> create(zip.getPath("/root.key")));
      assertFails(UNSUPPORTED, () -> open(zip.getPath("/root.key")));
    }
  }

  /** [LRK-24] */
  @Test
  void create_inMissingDirectory_isNotFound() {
    assertFails(NOT_FOUND, () -> create(directory.resolve("absent").resolve("root.key")));
  }

  /** [LRK-24] */
  @Test
  void createAndOpen_belowAFile_fail() throws IOException {
    Files.createFile(file);
    assertFails(INTERNAL, () -> create(file.resolve("root.key")));
    assertFails(INTERNAL, () -> open(file.resolve("root.key")));
  }

  /** [LRK-24]: {@code LocalRootKeyReadOnlyTest} meets the first two for real. */
  @Test
  void failure_translatesWhatTheFileSystemSays() {
    assertEquals(ACCESS_DENIED, translated(new AccessDeniedException("f")));
    assertEquals(ACCESS_DENIED, translated(new ReadOnlyFileSystemException()));
    assertEquals(UNSUPPORTED, translated(new UnsupportedOperationException()));
    assertEquals(INTERNAL, translated(new FileSystemException("f", null, "Input/output error")));
  }

  private RootKeyException.Reason translated(Exception cause) {
    RootKeyException failure = OwnerOnlyFile.failure("cannot read", file, cause);
    assertEquals(cause, failure.getCause());
    return failure.reason();
  }

  /** [LRK-21] */
  @Test
  void create_thatFails_leavesNoTemporaryFile() throws IOException {
    Files.createDirectory(file);
    assertFails(UNSUPPORTED, () -> create(file));
    assertEquals(List.of("root.key"), entries());
  }

  @Test
  @SuppressWarnings("NullAway")
  void everything_ofNull_throws() {
    Path noPath = null;
    char[] noChars = null;
    KeyMaterial noKey = null;
    char[] chars = PASSPHRASE.toCharArray();
    List<Executable> calls =
        List.of(
            () -> LocalRootKey.create(noPath, chars),
            () -> LocalRootKey.create(file, noChars),
            () -> LocalRootKey.create(noPath, sealingKey(0)),
            () -> LocalRootKey.create(file, noKey),
            () -> LocalRootKey.open(noPath, chars),
            () -> LocalRootKey.open(file, noChars),
            () -> LocalRootKey.open(noPath, sealingKey(0)),
            () -> LocalRootKey.open(file, noKey),
            () -> LocalRootKey.changePassphrase(noPath, chars, chars),
            () -> LocalRootKey.changePassphrase(file, noChars, chars),
            () -> LocalRootKey.changePassphrase(file, chars, noChars),
            () -> LocalRootKey.changeSealingKey(file, sealingKey(0), noKey));
    for (Executable call : calls) {
      assertThrows(NullPointerException.class, call);
    }
  }

  private static RootKey create(Path file) {
    return LocalRootKey.create(file, sealingKey(0));
  }

  private static RootKey open(Path file) {
    return LocalRootKey.open(file, sealingKey(0));
  }

  private static KeyMaterial sealingKey(int lastByte) {
    byte[] key = new byte[32];
    key[31] = (byte) lastByte;
    return KeyMaterial.owning(key);
  }

  private static WrappedKey wrap(RootKey rootKey, String secret) {
    try (KeyMaterial key = KeyMaterial.copyOf(secret.getBytes(UTF_8))) {
      return rootKey.wrap(key, CONTEXT);
    }
  }

  private static String unwrap(RootKey rootKey, WrappedKey wrapped) {
    try (KeyMaterial key = rootKey.unwrap(wrapped, CONTEXT)) {
      return key.use(bytes -> new String(bytes, UTF_8));
    }
  }

  private String mode() throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
  }

  private List<String> entries() throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.map(entry -> entry.getFileName().toString()).sorted().toList();
    }
  }

  private static RootKeyException assertFails(RootKeyException.Reason reason, Executable call) {
    RootKeyException failure = assertThrows(RootKeyException.class, call);
    assertEquals(reason, failure.reason(), failure.toString());
    return failure;
  }
}
