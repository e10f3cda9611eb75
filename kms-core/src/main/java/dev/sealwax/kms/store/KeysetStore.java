package dev.sealwax.kms.store;

import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.util.List;
import java.util.Optional;

/**
 * Where keyset documents are kept: a small map with compare-and-set, shared by any number of
 * processes.
 *
 * <p>Implementations are safe for concurrent use by threads and, unless they say otherwise, by
 * processes; a write is durable when the call returns; after a failed or interrupted write the
 * store holds the old or the new document, never neither. They need not hide or authenticate
 * documents: Sealwax does.
 *
 * <p>{@code KeysetStoreContract} in the test-jar tests what the methods say, with threads of one
 * process: extend it for your implementation. Durability, crashes, several processes and a store
 * that does not answer differ from store to store; their tests are yours.
 */
public interface KeysetStore extends AutoCloseable {
  /**
   * Reads one keyset.
   *
   * @return the stored keyset, or empty if there is none of that name
   * @throws KeysetStoreException if the store cannot be read; "cannot read" is never reported as
   *     "none"
   * @throws KeysetCorruptedException if the store itself sees that the document is damaged; restore
   *     it from a backup
   */
  Optional<StoredKeyset> load(KeysetId id);

  /**
   * Stores a new keyset, {@code first.revision()} being 1.
   *
   * @throws IllegalArgumentException if the revision is not 1
   * @throws KeysetConflictException if a keyset of that name exists; nothing was written
   * @throws KeysetStoreException if the store cannot be written; load to see whether an UNAVAILABLE
   *     write took effect
   */
  void create(StoredKeyset first);

  /**
   * Replaces the keyset if the stored one has revision {@code next.revision() - 1}.
   *
   * @throws IllegalArgumentException if the revision is 1
   * @throws KeysetConflictException if the stored revision is another one; nothing was written
   * @throws KeysetStoreException with NOT_FOUND if there is no such keyset, or else if the store
   *     cannot be written; load to see whether an UNAVAILABLE write took effect
   */
  void replace(StoredKeyset next);

  /**
   * Lists names in ascending order, a page at a time.
   *
   * @param limit most names returned, at least 1; fewer than {@code limit} means there are no more
   * @throws IllegalArgumentException if the limit is below 1
   * @throws KeysetStoreException if the store cannot be read; there is no partial list
   */
  List<KeysetId> list(int limit);

  /**
   * Lists the names greater than {@code after}, as {@link #list} does.
   *
   * @param after the last name of the page before; it need not exist
   * @throws NullPointerException if {@code after} is null; the first page is that of {@link #list}
   * @throws IllegalArgumentException if the limit is below 1
   * @throws KeysetStoreException if the store cannot be read
   */
  List<KeysetId> listAfter(KeysetId after, int limit);

  /**
   * The longest document it can keep, in characters: {@link StoredKeyset#MAX_DOCUMENT_CHARS} unless
   * it says less. Always the same, known without asking anybody, also once closed. So that a keyset
   * can be shredded when it has filled its document, a version is added only if the document has
   * room for what else can happen to the keyset (keyset-v1 §6).
   */
  default int maxDocumentChars() {
    return StoredKeyset.MAX_DOCUMENT_CHARS;
  }

  /**
   * Ends the use of the store; every later call is an {@link IllegalStateException}. Closing twice
   * does no harm.
   */
  @Override
  void close();
}
