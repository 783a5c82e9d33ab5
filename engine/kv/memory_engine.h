// MemoryEngine: kv::Engine in this process's memory, for tests and as the second
// proof that the contract is one. It keeps the contract except for durability.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/kv/kv_engine.h"

namespace bobbin::kv {

std::shared_ptr<Engine> NewMemoryEngine(const std::vector<std::string>& tables);

}  // namespace bobbin::kv
