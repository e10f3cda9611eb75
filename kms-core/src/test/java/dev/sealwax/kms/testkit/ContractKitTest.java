package dev.sealwax.kms.testkit;

import static java.util.stream.Collectors.toCollection;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.TestRootKeys;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.platform.launcher.EngineFilter;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;

/** What the contract kit says of implementations with one defect each. */
final class ContractKitTest {
  private static final long LATENCY_NANOS = 1_000_000;

  static Stream<Arguments> implementations() {
    return Stream.of(
        Arguments.of(SoundRootKey.class, Set.of()),
        Arguments.of(
            IgnoresTheContext.class,
            Set.of(
                "unwrap_withAnotherContext_isInvalid",
                "failures_printNeitherSecretNorContextValue")),
        Arguments.of(
            IgnoresTheEnd.class,
            Set.of(
                "unwrap_ofEverySingleBitFlip_isInvalid",
                "unwrap_ofEveryTruncationAndExtension_isInvalid",
                "failures_printNeitherSecretNorContextValue")),
        Arguments.of(
            IsNotSafeForTwoThreads.class,
            Set.of(
                "wrapAndUnwrap_from32Threads_returnEverySecret",
                "close_whileInUse_neverWrapsWhatDoesNotOpen")),
        Arguments.of(
            ThrowsWhatItMeets.class,
            Set.of("unwrap_ofEveryTruncationAndExtension_isInvalid", "unwrap_ofNoise_isInvalid")),
        Arguments.of(
            WrapsOnceMoreWithAWipedKey.class,
            Set.of(
                "close_thenUse_throws",
                "close_whileInUse_neverWrapsWhatDoesNotOpen",
                "failures_printNeitherSecretNorContextValue")),
        Arguments.of(ForgetsItsIdWhenClosed.class, Set.of("close_thenIdAndTags_areWhatTheyWere")),
        Arguments.of(ChangesItsTags.class, Set.of("tags_areConstant")),
        Arguments.of(
            IgnoresTheRule.class,
            Set.of("wrap_underARule_isUpToItsTags", "wrapAndUnwrap_ofNull_throw")),
        Arguments.of(PrintsTheContext.class, Set.of("failures_printNeitherSecretNorContextValue")),
        Arguments.of(SoundStore.class, Set.of()),
        Arguments.of(
            LetsTheLastWriteWin.class,
            Set.of("replace_ofAnotherRevision_isConflict", "replace_byManyThreads_losesNothing")),
        Arguments.of(
            CreatesOverWhatIsThere.class,
            Set.of("create_ofPresentKeyset_isConflict", "create_byManyThreads_hasOneWinner")),
        Arguments.of(
            LosesTheRevision.class,
            Set.of(
                "load_afterReplace_returnsTheNewDocument",
                "replace_withLargestDocument_returnsIt",
                "replace_ofAnotherRevision_isConflict",
                "replace_byManyThreads_losesNothing")),
        Arguments.of(ListsInAnyOrder.class, Set.of("list_inPages_returnsEveryNameOnce")),
        Arguments.of(StaysOpen.class, Set.of("anyCall_afterClose_isRefused")));
  }

  @ParameterizedTest
  @MethodSource("implementations")
  void defect_failsTheTestsOfIt(Class<?> contract, Set<String> failing) {
    LauncherDiscoveryRequest request =
        LauncherDiscoveryRequestBuilder.request()
            .selectors(selectClass(contract))
            .filters(EngineFilter.includeEngines("junit-jupiter"))
            .build();
    SummaryGeneratingListener listener = new SummaryGeneratingListener();
    LauncherFactory.create().execute(request, listener);
    assertTrue(listener.getSummary().getTestsSucceededCount() > 0, "nothing was run");
    assertEquals(
        new TreeSet<>(failing),
        listener.getSummary().getFailures().stream()
            .map(failure -> failure.getTestIdentifier().getLegacyReportingName())
            .map(name -> name.replaceFirst("\\(.*", ""))
            .collect(toCollection(TreeSet::new)));
  }

  /** A contract test of a root key with a defect; these classes are run by the test above only. */
  private abstract static class RootKeyKit extends RootKeyContract {
    @TempDir Path directory;

    abstract RootKey breaking(RootKey sound);

    @Override
    protected RootKey openRootKey() {
      return breaking(TestRootKeys.openOrCreate(directory.resolve("root.key")));
    }

    @Override
    protected RootKey openOtherRootKey() {
      return TestRootKeys.openOrCreate(directory.resolve("other.key"));
    }
  }

  static final class SoundRootKey extends RootKeyKit {
    @Override
    RootKey breaking(RootKey sound) {
      return new ForwardingRootKey(sound) {};
    }
  }

  static final class IgnoresTheContext extends RootKeyKit {
    @Override
    RootKey breaking(RootKey sound) {
      return new ForwardingRootKey(sound) {
        @Override
        public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
          Objects.requireNonNull(context, "context");
          return super.wrap(key, EncryptionContext.empty());
        }

        @Override
        public WrappedKey wrap(KeyMaterial key, EncryptionContext context, RootKeyRule rule) {
          Objects.requireNonNull(context, "context");
          return super.wrap(key, EncryptionContext.empty(), rule);
        }

        @Override
        public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
          Objects.requireNonNull(context, "context");
          return super.unwrap(wrapped, EncryptionContext.empty());
        }
      };
    }
  }

  /** Adds a byte that it does not miss. */
  static final class IgnoresTheEnd extends RootKeyKit {
    @Override
    RootKey breaking(RootKey sound) {
      return new ForwardingRootKey(sound) {
        @Override
        public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
          WrappedKey wrapped = super.wrap(key, context);
          byte[] bytes = wrapped.ciphertext();
          return WrappedKey.of(wrapped.rootKeyId(), Arrays.copyOf(bytes, bytes.length + 1));
        }

        @Override
        public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
          byte[] bytes = wrapped.ciphertext();
          try {
            return super.unwrap(wrapped, context);
          } catch (RootKeyException e) {
            if (bytes.length == 1) {
              throw e;
            }
            return super.unwrap(
                WrappedKey.of(wrapped.rootKeyId(), Arrays.copyOf(bytes, bytes.length - 1)),
                context);
          }
        }
      };
    }
  }

  static final class IsNotSafeForTwoThreads extends RootKeyKit {
    @Override
    RootKey breaking(RootKey sound) {
      return new ForwardingRootKey(sound) {
        private volatile byte[] underWay = {};

        @Override
        public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
          underWay = key.use(byte[]::clone);
          LockSupport.parkNanos(LATENCY_NANOS);
          try (KeyMaterial last = KeyMaterial.copyOf(underWay)) {
            return super.wrap(last, context);
          }
        }
      };
    }
  }

  static final class ThrowsWhatItMeets extends RootKeyKit {
    @Override
    RootKey breaking(RootKey sound) {
      return new ForwardingRootKey(sound) {
        @Override
        public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
          Objects.checkIndex(80, wrapped.ciphertext().length);
          return super.unwrap(wrapped, context);
        }
      };
    }
  }

  static final class WrapsOnceMoreWithAWipedKey extends RootKeyKit {
    @Override
    RootKey breaking(RootKey sound) {
      return new ForwardingRootKey(sound) {
        private final AtomicBoolean wiped = new AtomicBoolean();

        @Override
        public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
          return wiped.compareAndSet(true, false)
              ? WrappedKey.of(currentKeyId(), new byte[100])
              : super.wrap(key, context);
        }

        @Override
        public void close() {
          wiped.set(true);
          super.close();
        }
      };
    }
  }

  static final class ForgetsItsIdWhenClosed extends RootKeyKit {
    @Override
    RootKey breaking(RootKey sound) {
      return new ForwardingRootKey(sound) {
        private volatile boolean closed;

        @Override
        public RootKeyId currentKeyId() {
          if (closed) {
            throw new IllegalStateException("closed");
          }
          return super.currentKeyId();
        }

        @Override
        public void close() {
          closed = true;
          super.close();
        }
      };
    }
  }

  static final class ChangesItsTags extends RootKeyKit {
    @Override
    RootKey breaking(RootKey sound) {
      return new ForwardingRootKey(sound) {
        private volatile boolean used;

        @Override
        public Set<String> tags() {
          return used ? Set.of() : super.tags();
        }

        @Override
        public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
          used = true;
          return super.wrap(key, context);
        }
      };
    }
  }

  static final class IgnoresTheRule extends RootKeyKit {
    @Override
    RootKey breaking(RootKey sound) {
      return new ForwardingRootKey(sound) {
        @Override
        public WrappedKey wrap(KeyMaterial key, EncryptionContext context, RootKeyRule rule) {
          return wrap(key, context);
        }
      };
    }
  }

  static final class PrintsTheContext extends RootKeyKit {
    @Override
    RootKey breaking(RootKey sound) {
      return new ForwardingRootKey(sound) {
        @Override
        public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
          try {
            return super.unwrap(wrapped, context);
          } catch (RootKeyException e) {
            throw new RootKeyException(e.reason(), "not with " + context.asMap(), e);
          }
        }
      };
    }
  }

  /** The same of a store. */
  private abstract static class StoreKit extends KeysetStoreContract {
    abstract KeysetStore breaking(KeysetStore sound);

    @Override
    protected KeysetStore openEmptyStore() {
      return breaking(InMemoryKeysetStore.create());
    }
  }

  static final class SoundStore extends StoreKit {
    @Override
    KeysetStore breaking(KeysetStore sound) {
      return new ForwardingKeysetStore(sound) {};
    }
  }

  static final class LetsTheLastWriteWin extends StoreKit {
    @Override
    KeysetStore breaking(KeysetStore sound) {
      return new ForwardingKeysetStore(sound) {
        private final Map<KeysetId, StoredKeyset> last = new ConcurrentHashMap<>();

        @Override
        public Optional<StoredKeyset> load(KeysetId id) {
          Optional<StoredKeyset> loaded =
              super.load(id).map(first -> last.getOrDefault(first.id(), first));
          LockSupport.parkNanos(LATENCY_NANOS);
          return loaded;
        }

        @Override
        public void replace(StoredKeyset next) {
          try {
            super.replace(next);
          } catch (KeysetConflictException e) {
            // It should have been thrown.
          }
          last.put(next.id(), next);
        }
      };
    }
  }

  static final class CreatesOverWhatIsThere extends StoreKit {
    @Override
    KeysetStore breaking(KeysetStore sound) {
      return new ForwardingKeysetStore(sound) {
        @Override
        public void create(StoredKeyset first) {
          try {
            super.create(first);
          } catch (KeysetConflictException e) {
            // It should have been thrown.
          }
        }
      };
    }
  }

  static final class LosesTheRevision extends StoreKit {
    @Override
    KeysetStore breaking(KeysetStore sound) {
      return new ForwardingKeysetStore(sound) {
        @Override
        public Optional<StoredKeyset> load(KeysetId id) {
          return super.load(id).map(loaded -> new StoredKeyset(id, 1, loaded.document()));
        }
      };
    }
  }

  static final class ListsInAnyOrder extends StoreKit {
    @Override
    KeysetStore breaking(KeysetStore sound) {
      return new ForwardingKeysetStore(sound) {
        @Override
        public List<KeysetId> list(int limit) {
          List<KeysetId> ids = new ArrayList<>(super.list(limit));
          Collections.reverse(ids);
          return ids;
        }
      };
    }
  }

  static final class StaysOpen extends StoreKit {
    @Override
    KeysetStore breaking(KeysetStore sound) {
      return new ForwardingKeysetStore(sound) {
        @Override
        public void close() {}
      };
    }
  }
}
