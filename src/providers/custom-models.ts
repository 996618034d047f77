// Where the calls of custom providers may name models: whose servers they are isn't known, so it is all that is known of any. Never a
// custom provider's own data.
import type { ModelFacts } from "./definition.ts";
import { DATA_SOURCES, OPENROUTER_MODEL_TOOLS } from "./host-models.ts";
import { json, MESSAGES_TOOLS, RESPONSES_TOOLS } from "./model-place-forms.ts";

// What the servers of LiteLLM, vLLM, Ollama and gateways like them read (docs.litellm.ai/docs/proxy/reliability, .../user_keys), and
// all forms of the above: whose they are isn't known.
export const custom: ModelFacts = {
  places: [
    {
      ...json(["/**"]),
      tools: [...MESSAGES_TOOLS, ...RESPONSES_TOOLS].flatMap((tool) => [tool, `${tool}.*`]),
      also: [
        "safety_model",
        "draft_model",
        "moderation.model",
        "guardrails[].*.model_name",
        "svg.model",
        ...DATA_SOURCES.also,
      ],
      rivals: [...DATA_SOURCES.rivals, "prompt.id"],
    },
  ],
  rivals: [
    ...["models", "model_id", "model_name", "model_list", "model_group", "target_model_names"],
    ...["deployment", "deployment_id", "specific_deployment", "engine", "custom_llm_provider"],
    ...["fallback", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks"],
    ...["mock_testing_fallbacks", "mock_testing_context_fallbacks"],
    ...["mock_testing_content_policy_fallbacks", "mock_testing_rate_limit_error"],
    ...["route", "router", "router_settings", "router_settings_override", "plugins", "preset"],
    ...["litellm_params", "user_config", "extra_body", "api_base", "base_url"],
    ...["agent", "agent_id", "agent_reference", "assistant_id", "prompt_id", "compound_custom"],
  ],
  rivalHeaders: [
    ...["model", "x-model", "x-ai-eg-model", "x-gateway-model-name", "azureml-model-deployment"],
    ...["x-ms-oai-image-generation-deployment", "helicone-fallbacks", "helicone-target-url"],
    ...["x-portkey-config", "x-portkey-provider", "x-portkey-virtual-key", "x-litellm-model-id"],
  ],
  indirect: /@preset\//i,
  modelTools: OPENROUTER_MODEL_TOOLS,
};
