// Where the calls of makers of speech name their model, and their paths by use. Each with its source. What isn't there is refused to an
// agent with a list of models.
import type { ModelFacts, ProviderUses } from "./definition.ts";
import { form, json, query } from "./model-place-forms.ts";

interface Facts {
  readonly models: ModelFacts;
  readonly uses: ProviderUses;
}

// elevenlabs/elevenlabs-js: src/api/resources/*/client (JSON and forms), src/wrapper/realtime/scribe.ts and
// elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-stream-input (query). Without one its server chooses.
export const elevenlabs: Facts = {
  models: {
    places: [
      json(
        [
          "/v1/text-to-speech/*",
          "/v1/text-to-speech/*/stream",
          "/v1/text-to-speech/*/with-timestamps",
          "/v1/text-to-speech/*/stream/with-timestamps",
          "/v1/text-to-dialogue",
          "/v1/text-to-dialogue/stream",
          "/v1/text-to-dialogue/with-timestamps",
          "/v1/text-to-dialogue/stream/with-timestamps",
          "/v1/sound-generation",
          "/v1/music",
          "/v1/music/stream",
          "/v1/music/detailed",
          "/v1/music/plan",
          "/v1/text-to-voice/design",
        ],
        "model_id",
      ),
      form(
        ["/v1/speech-to-text", "/v1/speech-to-speech/*", "/v1/speech-to-speech/*/stream"],
        "model_id",
      ),
      query(
        "WEBSOCKET",
        [
          "/v1/text-to-speech/*/stream-input",
          "/v1/text-to-speech/*/multi-stream-input",
          "/v1/speech-to-text/realtime",
        ],
        "model_id",
      ),
    ],
    rivals: [],
  },
  uses: { chat: [], embeddings: [], files: ["/*/convai/knowledge-base/**", "/*/studio/**"] },
};

// deepgram/deepgram-js-sdk: src/api/resources/{listen,speak}. Without one its server chooses. developers.deepgram.com/docs/tier: `tier`
// and `model` choose together. An agent's WebSocket names its models in a message; /v1/read names none.
export const deepgram: Facts = {
  models: {
    places: [
      query("POST", ["/v1/listen", "/v1/speak", "/v2/speak"]),
      query("WEBSOCKET", ["/v1/listen", "/v2/listen", "/v1/speak", "/v2/speak"]),
    ],
    rivals: ["tier"],
  },
  uses: { chat: [], embeddings: [], files: [] },
};
