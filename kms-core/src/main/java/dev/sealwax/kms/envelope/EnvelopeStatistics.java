package dev.sealwax.kms.envelope;

import dev.sealwax.kms.vocabulary.CacheStatistics;

/**
 * What the ciphers of one {@code Kms} have done since it was opened.
 *
 * <p>A re-encryption counts as one message decrypted and one encrypted, though it hands no
 * plaintext out; one to a stream that fails counts as a failure, and a short message, which has
 * been encrypted by then, as these two as well.
 *
 * @param messagesEncrypted messages and streams sealed
 * @param bytesEncrypted their plaintext, in bytes
 * @param messagesDecrypted messages, streams read to their end, and channels with random access
 *     that were closed without a failure
 * @param bytesDecrypted their plaintext, in bytes; of such a channel what was read, as often as it
 *     was, but a message of the one-shot suite as a whole, when it is opened
 * @param headersRewrapped headers moved to another key version, or found to be there already
 * @param failures operations that ended with an exception; a decryption to a stream has succeeded
 *     once all is authentic, whatever the stream makes of it
 * @param abandoned streams that the application aborted or closed before their end; they count as
 *     neither messages nor failures
 * @param encryptKeys the cache of data keys that encrypt
 * @param decryptKeys the cache of data keys that decrypt
 */
public record EnvelopeStatistics(
    long messagesEncrypted,
    long bytesEncrypted,
    long messagesDecrypted,
    long bytesDecrypted,
    long headersRewrapped,
    long failures,
    long abandoned,
    CacheStatistics encryptKeys,
    CacheStatistics decryptKeys) {}
