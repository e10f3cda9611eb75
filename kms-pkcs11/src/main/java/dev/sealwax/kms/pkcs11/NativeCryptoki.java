package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import com.sun.jna.Function;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Platform;
import com.sun.jna.Pointer;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;

/**
 * A PKCS#11 module in a shared library, called through JNA.
 *
 * <p>The structures are laid out by hand for 64-bit Linux and macOS: {@code CK_ULONG} has 8 bytes
 * and alignment is natural. Windows has 4 bytes and packs, so it is refused. Every length that
 * comes back is checked against the buffer it is about. Safe for concurrent use with different
 * sessions.
 */
final class NativeCryptoki implements Cryptoki {
  private static final int ULONG = 8;
  private static final int ATTRIBUTE_BYTES = 3 * ULONG; // type, pValue, ulValueLen
  private static final int MECHANISM_BYTES = 3 * ULONG; // mechanism, pParameter, ulParameterLen

  private static final int INIT_FLAGS_POS = 4 * ULONG; // after four function pointers
  private static final int INIT_RESERVED_POS = INIT_FLAGS_POS + ULONG; // 40
  private static final int INIT_BYTES = INIT_RESERVED_POS + ULONG; // 48

  private static final int TOKEN_LABEL_POS = 0;
  private static final int TOKEN_LABEL_LEN = 32;
  private static final int TOKEN_MANUFACTURER_POS = TOKEN_LABEL_POS + TOKEN_LABEL_LEN; // 32
  private static final int TOKEN_MANUFACTURER_LEN = 32;
  private static final int TOKEN_MODEL_POS = TOKEN_MANUFACTURER_POS + TOKEN_MANUFACTURER_LEN; // 64
  private static final int TOKEN_MODEL_LEN = 16;
  private static final int TOKEN_SERIAL_POS = TOKEN_MODEL_POS + TOKEN_MODEL_LEN; // 80
  private static final int TOKEN_SERIAL_LEN = 16;
  private static final int TOKEN_FLAGS_POS = TOKEN_SERIAL_POS + TOKEN_SERIAL_LEN; // 96
  private static final int TOKEN_MAX_SESSIONS_POS = TOKEN_FLAGS_POS + ULONG; // 104
  // Ten counters, two versions and a time follow: 208 in all. Rounded up, should one be longer.
  private static final int TOKEN_BYTES = 256;

  private static final int GCM_BYTES = 6 * ULONG; // pIv, ulIvLen, ulIvBits, pAAD, ulAADLen, ulTag
  private static final int OAEP_BYTES = 5 * ULONG; // hashAlg, mgf, source, pSource, ulSourceLen
  private static final int PSS_BYTES = 3 * ULONG; // hashAlg, mgf, sLen

  /** More than this is no module but noise. */
  private static final long MAX_SLOTS = 4096;

  /** Longest attribute that is read: a modulus of 16,384 bits has 2 KiB. */
  private static final long MAX_ATTRIBUTE_BYTES = 4096;

  private static final int RTLD_NOW = 0x2;
  private static final int RTLD_LOCAL_OF_MACOS = 0x4; // elsewhere it is what no flag means

  /**
   * What was loaded, for ever. JNA unloads a library that nobody refers to, and a function found
   * through a list of pointers does not refer to it: the next call would crash the process. Modules
   * bear unloading badly anyway.
   */
  private static final Map<String, NativeLibrary> LIBRARIES = new ConcurrentHashMap<>();

  private final Map<CkFunction, Function> functions;
  private final ConcurrentLinkedQueue<NativeArena> arenas = new ConcurrentLinkedQueue<>();

  private NativeCryptoki(Map<CkFunction, Function> functions) {
    this.functions = functions;
  }

  /**
   * Loads a module; it is initialized by nobody yet.
   *
   * @throws RootKeyException with {@code NOT_FOUND} if there is no such file, {@code UNSUPPORTED}
   *     if it is no PKCS#11 module, or this platform is not supported
   */
  static NativeCryptoki load(Path module) {
    requirePlatform(Platform.getOSType(), Native.POINTER_SIZE, Native.LONG_SIZE);
    if (!Files.isRegularFile(module)) {
      throw new RootKeyException(NOT_FOUND, "there is no PKCS#11 module " + module);
    }
    try {
      NativeLibrary library =
          LIBRARIES.computeIfAbsent(module.toString(), NativeCryptoki::loadLibrary);
      return bind(library.getFunction("C_GetFunctionList"), module);
    } catch (UnsatisfiedLinkError e) {
      throw new RootKeyException(
          UNSUPPORTED, module + " is no PKCS#11 module for this machine: " + e.getMessage(), e);
    }
  }

  /**
   * All modules define the same names. By default JNA shows those of one library to the next, which
   * would then call the first module instead of itself, and hand it the PIN.
   */
  private static NativeLibrary loadLibrary(String path) {
    int flags = Platform.isMac() ? RTLD_NOW | RTLD_LOCAL_OF_MACOS : RTLD_NOW;
    return NativeLibrary.getInstance(path, Map.of(Library.OPTION_OPEN_FLAGS, flags));
  }

  /** Refuses where the layouts above do not hold. */
  static void requirePlatform(int osType, int pointerBytes, int longBytes) {
    boolean known = osType == Platform.LINUX || osType == Platform.MAC;
    if (!known || pointerBytes != ULONG || longBytes != ULONG) {
      throw new RootKeyException(
          UNSUPPORTED,
          "PKCS#11 modules are called on 64-bit Linux and macOS only; use another root key provider"
              + " here");
    }
  }

  private static NativeCryptoki bind(Function getFunctionList, Path module) {
    NativeArena arena = new NativeArena();
    Pointer place = arena.take(ULONG);
    long code = getFunctionList.invokeLong(new Object[] {place});
    Pointer list = place.getPointer(0);
    // CK_VERSION, one byte each for major and minor, padded to the alignment of a pointer.
    if (code != 0 || list == null || list.getByte(0) < 2 || list.getByte(0) > 3) {
      throw new RootKeyException(
          UNSUPPORTED, module + " has no function list of PKCS#11 2 or 3; is it the right file");
    }
    Map<CkFunction, Function> functions = new EnumMap<>(CkFunction.class);
    for (CkFunction function : CkFunction.values()) {
      Pointer address = list.getPointer(ULONG + (long) ULONG * function.index());
      if (address != null) {
        functions.put(function, Function.getFunction(address));
      }
    }
    return new NativeCryptoki(functions);
  }

  private void call(CkFunction function, @Nullable Object... arguments) {
    Function address = functions.get(function);
    long code =
        address == null
            ? ReturnCode.CKR_FUNCTION_NOT_SUPPORTED.code()
            : address.invokeLong(arguments);
    if (code != 0) {
      throw new CryptokiException(function, code);
    }
  }

  private interface Body<T> {
    T with(NativeArena arena);
  }

  private <T> T inArena(Body<T> body) {
    NativeArena arena = borrow();
    try {
      return body.with(arena);
    } finally {
      giveBack(arena);
    }
  }

  private NativeArena borrow() {
    NativeArena arena = arenas.poll();
    return arena != null ? arena : new NativeArena();
  }

  private void giveBack(NativeArena arena) {
    arena.reset();
    arenas.add(arena);
  }

  @Override
  public void initialize(@Nullable String arguments) {
    NativeArena arena = borrow();
    try {
      Pointer args = arena.take(INIT_BYTES);
      args.setLong(INIT_FLAGS_POS, Ck.CKF_OS_LOCKING_OK);
      if (arguments != null) {
        byte[] text = (arguments + '\0').getBytes(StandardCharsets.UTF_8);
        args.setPointer(INIT_RESERVED_POS, arena.put(text));
      }
      call(CkFunction.C_Initialize, args);
    } finally {
      giveBack(arena);
    }
  }

  @Override
  public void finish() {
    call(CkFunction.C_Finalize, (Object) null);
  }

  @Override
  public long[] slots() {
    CkFunction function = CkFunction.C_GetSlotList;
    byte withToken = 1;
    return inArena(
        arena -> {
          Pointer count = arena.take(ULONG);
          call(function, withToken, null, count);
          // A slot may appear between the question for the length and that for the list.
          long room = requireLength(function, count.getLong(0), MAX_SLOTS) + 8;
          Pointer slots = arena.take(room * ULONG);
          count.setLong(0, room);
          call(function, withToken, slots, count);
          int found = (int) requireLength(function, count.getLong(0), room);
          return slots.getLongArray(0, found);
        });
  }

  @Override
  public TokenInfo tokenInfo(long slot) {
    return inArena(
        arena -> {
          Pointer info = arena.take(TOKEN_BYTES);
          call(CkFunction.C_GetTokenInfo, slot, info);
          long most = info.getLong(TOKEN_MAX_SESSIONS_POS);
          return new TokenInfo(
              slot,
              padded(info, TOKEN_LABEL_POS, TOKEN_LABEL_LEN),
              padded(info, TOKEN_MANUFACTURER_POS, TOKEN_MANUFACTURER_LEN),
              padded(info, TOKEN_MODEL_POS, TOKEN_MODEL_LEN),
              padded(info, TOKEN_SERIAL_POS, TOKEN_SERIAL_LEN),
              info.getLong(TOKEN_FLAGS_POS),
              most == Ck.UNAVAILABLE ? 0 : most);
        });
  }

  /** Text padded by blanks; some modules end it with a zero byte. */
  private static String padded(Pointer info, int pos, int length) {
    String text = new String(info.getByteArray(pos, length), StandardCharsets.UTF_8);
    int end = text.indexOf('\0');
    return (end >= 0 ? text.substring(0, end) : text).stripTrailing();
  }

  @Override
  public long openSession(long slot, boolean writable) {
    long flags = Ck.CKF_SERIAL_SESSION | (writable ? Ck.CKF_RW_SESSION : 0);
    return inArena(
        arena -> {
          Pointer session = arena.take(ULONG);
          call(CkFunction.C_OpenSession, slot, flags, null, null, session);
          return session.getLong(0);
        });
  }

  @Override
  public void closeSession(long session) {
    call(CkFunction.C_CloseSession, session);
  }

  @Override
  public void login(long session, byte @Nullable [] pin) {
    NativeArena arena = borrow();
    try {
      Pointer text = pin == null ? null : arena.put(pin);
      long length = pin == null ? 0 : pin.length;
      call(CkFunction.C_Login, session, Ck.CKU_USER, text, length);
    } finally {
      giveBack(arena);
    }
  }

  @Override
  public long createObject(long session, Template template) {
    return inArena(
        arena -> {
          Pointer object = arena.take(ULONG);
          call(CkFunction.C_CreateObject, session, put(arena, template), count(template), object);
          return object.getLong(0);
        });
  }

  @Override
  public void destroyObject(long session, long object) {
    call(CkFunction.C_DestroyObject, session, object);
  }

  @Override
  public byte @Nullable [] attribute(long session, long object, long type) {
    NativeArena arena = borrow();
    try {
      return attribute(arena, session, object, type);
    } finally {
      giveBack(arena);
    }
  }

  private byte @Nullable [] attribute(NativeArena arena, long session, long object, long type) {
    Pointer attribute = arena.take(ATTRIBUTE_BYTES);
    attribute.setLong(0, type);
    try {
      call(CkFunction.C_GetAttributeValue, session, object, attribute, 1L);
      long length = attribute.getLong(2L * ULONG);
      if (length == Ck.UNAVAILABLE || length > MAX_ATTRIBUTE_BYTES || length < 0) {
        return null;
      }
      if (length == 0) {
        return new byte[0];
      }
      Pointer value = arena.take(length);
      attribute.setPointer(ULONG, value);
      call(CkFunction.C_GetAttributeValue, session, object, attribute, 1L);
      long actual =
          requireLength(CkFunction.C_GetAttributeValue, attribute.getLong(2L * ULONG), length);
      return value.getByteArray(0, (int) actual);
    } catch (CryptokiException e) {
      if (e.code() == ReturnCode.CKR_ATTRIBUTE_TYPE_INVALID
          || e.code() == ReturnCode.CKR_ATTRIBUTE_SENSITIVE) {
        return null;
      }
      throw e;
    }
  }

  @Override
  public long[] find(long session, Template template, int most) {
    return inArena(
        arena -> {
          call(CkFunction.C_FindObjectsInit, session, put(arena, template), count(template));
          Pointer handles = arena.take((long) most * ULONG);
          Pointer count = arena.take(ULONG);
          List<Long> found = new ArrayList<>();
          // A module may give fewer than were asked for although there are more.
          while (found.size() < most) {
            long room = (long) most - found.size();
            call(CkFunction.C_FindObjects, session, handles, room, count);
            int given = (int) requireLength(CkFunction.C_FindObjects, count.getLong(0), room);
            if (given == 0) {
              break;
            }
            for (long handle : handles.getLongArray(0, given)) {
              found.add(handle);
            }
          }
          call(CkFunction.C_FindObjectsFinal, session);
          return found.stream().mapToLong(Long::longValue).toArray();
        });
  }

  @Override
  public byte[] encrypt(long session, Mechanism mechanism, long key, byte[] data, int room) {
    return crypt(
        CkFunction.C_EncryptInit, CkFunction.C_Encrypt, session, mechanism, key, data, room);
  }

  @Override
  public byte[] decrypt(long session, Mechanism mechanism, long key, byte[] data, int room) {
    return crypt(
        CkFunction.C_DecryptInit, CkFunction.C_Decrypt, session, mechanism, key, data, room);
  }

  @Override
  public byte[] sign(long session, Mechanism mechanism, long key, byte[] data, int room) {
    return crypt(CkFunction.C_SignInit, CkFunction.C_Sign, session, mechanism, key, data, room);
  }

  private byte[] crypt(
      CkFunction init,
      CkFunction function,
      long session,
      Mechanism mechanism,
      long key,
      byte[] data,
      int room) {
    return inArena(
        arena -> {
          Pointer parameter = parameter(arena, mechanism);
          // Where the IV was put; afterwards the structure says what the module wrote there.
          Pointer iv =
              parameter != null && mechanism instanceof Mechanism.Gcm
                  ? parameter.getPointer(0)
                  : null;
          call(init, session, put(arena, mechanism, parameter), key);
          Pointer out = arena.take(room);
          Pointer length = arena.take(ULONG);
          length.setLong(0, room);
          // Modules refuse a null pointer even where nothing is to be read from it.
          Pointer in = data.length == 0 ? arena.take(1) : arena.put(data);
          call(function, session, in, (long) data.length, out, length);
          if (iv != null
              && mechanism instanceof Mechanism.Gcm gcm
              && function == CkFunction.C_Encrypt) {
            // Modules that must choose the IV themselves (FIPS 140) leave it where they got one.
            iv.read(0, gcm.iv(), 0, gcm.iv().length);
          }
          int actual = (int) requireLength(function, length.getLong(0), room);
          return out.getByteArray(0, actual);
        });
  }

  @Override
  public long generateKey(long session, Mechanism mechanism, Template template) {
    return inArena(
        arena -> {
          Pointer key = arena.take(ULONG);
          call(
              CkFunction.C_GenerateKey,
              session,
              put(arena, mechanism, parameter(arena, mechanism)),
              put(arena, template),
              count(template),
              key);
          return key.getLong(0);
        });
  }

  @Override
  public long generateKeyPair(
      long session, Mechanism mechanism, Template publicTemplate, Template privateTemplate) {
    return inArena(
        arena -> {
          Pointer keys = arena.take(2L * ULONG);
          call(
              CkFunction.C_GenerateKeyPair,
              session,
              put(arena, mechanism, parameter(arena, mechanism)),
              put(arena, publicTemplate),
              count(publicTemplate),
              put(arena, privateTemplate),
              count(privateTemplate),
              keys,
              keys.share(ULONG));
          return keys.getLong(ULONG);
        });
  }

  @Override
  public byte[] wrapKey(long session, Mechanism mechanism, long wrappingKey, long key, int room) {
    return inArena(
        arena -> {
          Pointer out = arena.take(room);
          Pointer length = arena.take(ULONG);
          length.setLong(0, room);
          call(
              CkFunction.C_WrapKey,
              session,
              put(arena, mechanism, parameter(arena, mechanism)),
              wrappingKey,
              key,
              out,
              length);
          int actual = (int) requireLength(CkFunction.C_WrapKey, length.getLong(0), room);
          return out.getByteArray(0, actual);
        });
  }

  @Override
  public long unwrapKey(
      long session, Mechanism mechanism, long unwrappingKey, byte[] wrapped, Template template) {
    return inArena(
        arena -> {
          Pointer key = arena.take(ULONG);
          call(
              CkFunction.C_UnwrapKey,
              session,
              put(arena, mechanism, parameter(arena, mechanism)),
              unwrappingKey,
              arena.put(wrapped),
              (long) wrapped.length,
              put(arena, template),
              count(template),
              key);
          return key.getLong(0);
        });
  }

  private static long count(Template template) {
    return template.attributes().size();
  }

  private static @Nullable Pointer put(NativeArena arena, Template template) {
    List<Template.Attribute> attributes = template.attributes();
    if (attributes.isEmpty()) {
      return null;
    }
    Pointer array = arena.take((long) attributes.size() * ATTRIBUTE_BYTES);
    for (int i = 0; i < attributes.size(); i++) {
      Template.Attribute attribute = attributes.get(i);
      long pos = (long) i * ATTRIBUTE_BYTES;
      array.setLong(pos, attribute.type());
      array.setPointer(pos + ULONG, arena.put(attribute.value()));
      array.setLong(pos + 2L * ULONG, attribute.value().length);
    }
    return array;
  }

  private static Pointer put(NativeArena arena, Mechanism mechanism, @Nullable Pointer parameter) {
    Pointer structure = arena.take(MECHANISM_BYTES);
    structure.setLong(0, mechanism.type());
    structure.setPointer(ULONG, parameter);
    structure.setLong(2L * ULONG, parameterBytes(mechanism));
    return structure;
  }

  private static int parameterBytes(Mechanism mechanism) {
    if (mechanism instanceof Mechanism.WithIv withIv) {
      return withIv.iv().length;
    } else if (mechanism instanceof Mechanism.Gcm) {
      return GCM_BYTES;
    } else if (mechanism instanceof Mechanism.Oaep) {
      return OAEP_BYTES;
    } else if (mechanism instanceof Mechanism.Pss) {
      return PSS_BYTES;
    }
    return 0;
  }

  private static @Nullable Pointer parameter(NativeArena arena, Mechanism mechanism) {
    if (mechanism instanceof Mechanism.WithIv withIv) {
      return arena.put(withIv.iv());
    } else if (mechanism instanceof Mechanism.Gcm gcm) {
      Pointer structure = arena.take(GCM_BYTES);
      structure.setPointer(0, arena.put(gcm.iv()));
      structure.setLong(ULONG, gcm.iv().length);
      structure.setLong(2L * ULONG, 8L * gcm.iv().length);
      structure.setPointer(3L * ULONG, arena.put(gcm.associatedData()));
      structure.setLong(4L * ULONG, gcm.associatedData().length);
      structure.setLong(5L * ULONG, 8L * Mechanism.Gcm.TAG_BYTES);
      return structure;
    } else if (mechanism instanceof Mechanism.Oaep oaep) {
      Pointer structure = arena.take(OAEP_BYTES);
      structure.setLong(0, oaep.hash());
      structure.setLong(ULONG, oaep.maskGeneration());
      structure.setLong(2L * ULONG, Ck.CKZ_DATA_SPECIFIED);
      return structure;
    } else if (mechanism instanceof Mechanism.Pss pss) {
      Pointer structure = arena.take(PSS_BYTES);
      structure.setLong(0, pss.hash());
      structure.setLong(ULONG, pss.maskGeneration());
      structure.setLong(2L * ULONG, pss.saltBytes());
      return structure;
    }
    return null;
  }

  /** A length the module wrote, which must fit what it was given. */
  private static long requireLength(CkFunction function, long length, long room) {
    if (length < 0 || length > room) {
      throw new CryptokiException(function, ReturnCode.CKR_BUFFER_TOO_SMALL.code());
    }
    return length;
  }
}
