/** Root keys and signing keys in AWS KMS, and a keyset store in DynamoDB. */
@NullMarked
package dev.sealwax.kms.aws;

import org.jspecify.annotations.NullMarked;
