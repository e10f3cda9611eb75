/** Root keys in AWS KMS and keysets in DynamoDB. */
// The SDK's jars are automatic modules with stable names. Their clients stand in signatures: the
// application makes them.
@SuppressWarnings({"requires-automatic", "requires-transitive-automatic"})
module dev.sealwax.kms.aws {
  exports dev.sealwax.kms.aws;

  requires transitive dev.sealwax.kms.core;
  requires transitive software.amazon.awssdk.services.kms;
  requires org.slf4j;
  requires software.amazon.awssdk.awscore;
  requires software.amazon.awssdk.core;
  requires software.amazon.awssdk.http;
  requires static transitive software.amazon.awssdk.services.dynamodb;
  requires static software.amazon.awssdk.http.urlconnection;
  requires static software.amazon.awssdk.retries.api;
  // Annotations in signatures, which only compilers and checkers read.
  requires static transitive org.jspecify;
}
