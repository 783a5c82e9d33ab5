#include "tests/powerloss/disk_model.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "engine/check.h"

namespace bobbin::powerloss {
namespace {

Page MakePage(const std::array<char, kPageBytes>& bytes) {
  auto page = std::make_shared<PageData>();
  page->bytes = bytes;
  page->hash = XXH3_64bits(bytes.data(), bytes.size());
  return page;
}

std::array<char, kPageBytes> BytesOf(const Page& page) {
  return page ? page->bytes : std::array<char, kPageBytes>{};
}

Page Torn(const Page& page, const Page& other, std::uint8_t sectors) {
  std::array<char, kPageBytes> bytes = BytesOf(page);
  const std::array<char, kPageBytes> others = BytesOf(other);
  for (std::size_t sector = 0; sector < kPageBytes / kSectorBytes; ++sector) {
    if ((sectors >> sector & 1) == 0) continue;
    std::memcpy(bytes.data() + sector * kSectorBytes, others.data() + sector * kSectorBytes,
                kSectorBytes);
  }
  return MakePage(bytes);
}

void ApplyChange(std::map<std::string, std::uint64_t>& names, const std::string& name,
                 std::uint64_t object) {
  if (object == 0) {
    names.erase(name);
  } else {
    names[name] = object;
  }
}

}  // namespace

std::uint64_t FileImage::Hash() const {
  std::uint64_t hash = bytes * 0x9E3779B97F4A7C15U;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    const std::uint64_t page = pages[i] ? pages[i]->hash : 0;
    hash += (page ^ (i + 1) * 0xC2B2AE3D27D4EB4FU) * 0xFF51AFD7ED558CCDU;
    hash ^= hash >> 29;
  }
  return hash;
}

std::string FileImage::Content() const {
  std::string content(pages.size() * kPageBytes, '\0');
  for (std::size_t i = 0; i < pages.size(); ++i) {
    if (pages[i]) std::memcpy(content.data() + i * kPageBytes, pages[i]->bytes.data(), kPageBytes);
  }
  content.resize(bytes);
  return content;
}

DiskModel::DiskModel() { directories_[kRootObject]; }

void DiskModel::PutPage(File& file, std::size_t index, std::size_t offset, std::string_view bytes) {
  if (index >= file.pages.size()) file.pages.resize(index + 1, {{0, nullptr}});
  std::vector<PageVersion>& versions = file.pages[index];
  std::array<char, kPageBytes> content = BytesOf(versions.back().data);
  std::memcpy(content.data() + offset, bytes.data(), bytes.size());
  versions.push_back({position_, MakePage(content)});
}

void DiskModel::Write(File& file, std::uint64_t offset, std::string_view bytes) {
  const std::uint64_t end = offset + bytes.size();
  while (!bytes.empty()) {
    const std::size_t in_page = offset % kPageBytes;
    const std::size_t count = std::min(bytes.size(), kPageBytes - in_page);
    PutPage(file, offset / kPageBytes, in_page, bytes.substr(0, count));
    bytes.remove_prefix(count);
    offset += count;
  }
  const SizeVersion size = file.sizes.back();
  if (end > size.bytes) {
    file.sizes.push_back({position_, end});
  } else if (size.stranded && end > file.sizes.front().bytes) {
    // When this is on disk, the file is at least so long.
    file.sizes.push_back({position_, end});
    file.sizes.push_back({position_, size.bytes, true});
  }
}

void DiskModel::Truncate(File& file, std::uint64_t bytes) {
  static const std::string zeros(kPageBytes, '\0');
  for (std::uint64_t at = bytes; at < file.pages.size() * kPageBytes;) {
    const std::size_t in_page = at % kPageBytes;
    PutPage(file, at / kPageBytes, in_page, std::string_view(zeros).substr(in_page));
    at += kPageBytes - in_page;
  }
  file.sizes.push_back({position_, bytes});
}

void DiskModel::EndFlush(const Flush& flush, bool failed) {
  // What was there when the flush began becomes the first of `versions`, or is stranded.
  const auto settle = [&](auto& versions) {
    std::size_t last = 0;
    for (std::size_t i = 1; i < versions.size() && versions[i].position < flush.begin; ++i) {
      if (failed) versions[i].stranded = true;
      if (!versions[i].stranded) last = i;
    }
    versions.erase(versions.begin(), versions.begin() + static_cast<std::ptrdiff_t>(last));
  };
  if (const auto file = files_.find(flush.object); file != files_.end()) {
    std::vector<std::vector<PageVersion>>& pages = file->second.pages;
    for (std::size_t i = flush.first_page; i < std::min(flush.end_page, pages.size()); ++i) {
      settle(pages[i]);
    }
    // A synchronous write covers the size only if it is what made the file grow.
    std::vector<SizeVersion>& sizes = file->second.sizes;
    const bool covers_size = flush.end_page == SIZE_MAX ||
                             std::any_of(sizes.begin(), sizes.end(), [&](const SizeVersion& size) {
                               return size.position + 1 == flush.begin;
                             });
    if (covers_size) settle(sizes);
    return;
  }
  Directory& directory = directories_.at(flush.object);
  std::erase_if(directory.pending, [&](const NameChange& change) {
    if (change.position >= flush.begin || failed) return false;
    ApplyChange(directory.durable, change.name, change.object);
    return true;
  });
}

void DiskModel::Apply(const Entry& entry) {
  ++position_;
  switch (entry.kind) {
    case EntryKind::kAdd:
      if (entry.Has(kDirectory)) {
        directories_[entry.other];
      } else {
        files_[entry.other];
      }
      directories_.at(entry.object)
          .pending.push_back({position_, std::string(entry.Data()), entry.other});
      return;
    case EntryKind::kRemove:
      directories_.at(entry.object).pending.push_back({position_, std::string(entry.Data()), 0});
      return;
    case EntryKind::kRename: {
      const std::string_view names = entry.Data();
      const std::size_t end = names.find('\0');
      directories_.at(entry.offset)
          .pending.push_back({position_, std::string(names.substr(end + 1)), entry.other});
      directories_.at(entry.object)
          .pending.push_back({position_, std::string(names.substr(0, end)), 0});
      return;
    }
    case EntryKind::kWrite:
      Write(files_.at(entry.object), entry.offset, entry.Data());
      if (entry.Has(kSynchronous)) {
        const std::size_t end = (entry.offset + entry.data_bytes + kPageBytes - 1) / kPageBytes;
        flushes_[entry.ticket] = {entry.object, position_ + 1, entry.offset / kPageBytes, end};
      }
      return;
    case EntryKind::kTruncate:
      return Truncate(files_.at(entry.object), entry.offset);
    case EntryKind::kFlush:
      flushes_[entry.ticket] = {entry.object, position_};
      return;
    case EntryKind::kDone: {
      const auto flush = flushes_.find(entry.ticket);
      BOBBIN_CHECK(flush != flushes_.end());
      EndFlush(flush->second, entry.Has(kFailed));
      flushes_.erase(flush);
      return;
    }
    case EntryKind::kMark:
      return;
  }
  BOBBIN_CHECK(false);
}

std::vector<OpenQuestion> DiskModel::OpenQuestions() const {
  using Kind = OpenQuestion::Kind;
  std::vector<std::pair<std::uint64_t, OpenQuestion>> open;
  for (const auto& [object, file] : files_) {
    for (std::size_t i = 0; i < file.pages.size(); ++i) {
      const auto& versions = file.pages[i];
      if (versions.size() == 1) continue;
      open.push_back({versions.back().position, {Kind::kPage, object, i, versions.size()}});
    }
    if (file.sizes.size() == 1) continue;
    open.push_back({file.sizes.back().position, {Kind::kSize, object, 0, file.sizes.size()}});
  }
  std::stable_sort(open.begin(), open.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<OpenQuestion> questions;
  questions.reserve(open.size());
  for (const auto& question : open) questions.push_back(question.second);
  for (const auto& [object, directory] : directories_) {
    for (std::size_t i = 0; i < directory.pending.size(); ++i) {
      questions.push_back({Kind::kName, object, i, 2});
    }
  }
  return questions;
}

std::pair<std::uint64_t, std::uint64_t> DiskModel::SizeRange(const OpenQuestion& question) const {
  const std::vector<SizeVersion>& sizes = files_.at(question.object).sizes;
  const auto [least, most] = std::minmax_element(
      sizes.begin(), sizes.end(), [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
  return {least->bytes, most->bytes};
}

std::uint64_t DiskModel::SizeAt(const OpenQuestion& question, std::size_t option) const {
  return files_.at(question.object).sizes.at(option).bytes;
}

DiskState DiskModel::With(const std::vector<OpenQuestion>& questions,
                          const std::vector<Answer>& answers) const {
  DiskState state(*this);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const OpenQuestion& question = questions[i];
    const Answer& answer = answers[i];
    if (question.kind == OpenQuestion::Kind::kName) {
      if (answer.option == 0) continue;
      const Directory& directory = directories_.at(question.object);
      auto& names =
          state.directories_.try_emplace(question.object, directory.durable).first->second;
      const NameChange& change = directory.pending[question.index];
      ApplyChange(names, change.name, change.object);
    } else if (question.kind == OpenQuestion::Kind::kSize) {
      state.sizes_[question.object] = answer.bytes;
    } else {
      const auto& versions = files_.at(question.object).pages[question.index];
      Page page = versions[answer.option].data;
      if (answer.torn_sectors != 0) {
        page = Torn(page, versions[answer.other].data, answer.torn_sectors);
      }
      state.pages_[question.object].emplace_back(question.index, std::move(page));
    }
  }
  return state;
}

const std::map<std::string, std::uint64_t>& DiskState::Entries(std::uint64_t directory) const {
  const auto changed = directories_.find(directory);
  return changed != directories_.end() ? changed->second
                                       : model_->directories_.at(directory).durable;
}

const std::uint64_t* DiskState::Find(std::uint64_t directory, const std::string& name) const {
  const auto& entries = Entries(directory);
  const auto found = entries.find(name);
  return found == entries.end() ? nullptr : &found->second;
}

bool DiskState::IsDirectory(std::uint64_t object) const {
  return model_->directories_.contains(object);
}

FileImage DiskState::File(std::uint64_t object) const {
  const DiskModel::File& file = model_->files_.at(object);
  FileImage image;
  const auto size = sizes_.find(object);
  image.bytes = size != sizes_.end() ? size->second : file.sizes.front().bytes;
  image.pages.resize((image.bytes + kPageBytes - 1) / kPageBytes);
  const std::size_t stored = std::min(image.pages.size(), file.pages.size());
  for (std::size_t i = 0; i < stored; ++i) image.pages[i] = file.pages[i].front().data;
  if (const auto chosen = pages_.find(object); chosen != pages_.end()) {
    for (const auto& [index, page] : chosen->second) {
      if (index < image.pages.size()) image.pages[index] = page;
    }
  }
  return image;
}

}  // namespace bobbin::powerloss
